"""Driving loaded workers block by block: warm-up, then blocks until the rate is known or the trial is hopeless."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from autotune import stats
from autotune.launch.process import WorkerFailed, Workers
from autotune.protocol import Measure, Measured, Ready
from autotune.results import Block, Status
from autotune.types import MeasureRules, Struct

LEAD_S = 0.005
"""Between a command and the common start: time for every worker to read it."""

EMPTY_BLOCKS = 3
"""How many blocks may pass without a call in them (a stalled machine) before the trial is given up."""


class Measurement(Struct):
    """The blocks of a trial; rejected ones have few."""

    warmup: tuple[Block, ...]
    blocks: tuple[Block, ...]
    rejected: bool
    flags: tuple[str, ...] = ()


def measure(
    workers: Workers,
    ready: list[Ready],
    batch_size: int,
    rules: MeasureRules,
    incumbent: float | None,
    measured: Callable[[tuple[Block, ...]], None],
) -> Measurement:
    """Warm up, then measure until `stats` says that it is enough; `measured` is told the blocks after each one."""
    call_s = max(answer.warm_call_s for answer in ready)
    rate = sum(batch_size / answer.warm_call_s for answer in ready)
    if stats.hopeless_call(rate, incumbent, rules):
        return Measurement(warmup=(), blocks=(block(workers, call_s, rules),), rejected=True)

    warmup = [block(workers, call_s, rules)]
    flags: tuple[str, ...] = ()
    while stats.still_rising([b.rate for b in warmup], rules):
        if sum(b.elapsed_ns for b in warmup) >= rules.warmup_s * 1e9:
            flags = ("not_steady",)
            break
        warmup.append(block(workers, call_s, rules))
    if stats.clearly_slower([b.rate for b in warmup[-2:]], incumbent, rules):
        return Measurement(warmup=tuple(warmup[:-2]), blocks=tuple(warmup[-2:]), rejected=True, flags=flags)

    blocks: list[Block] = []
    while not stats.enough([b.rate for b in blocks], sum(b.elapsed_ns for b in blocks) / 1e9, rules):
        blocks.append(block(workers, call_s, rules))
        measured(tuple(blocks))
        if stats.clearly_slower([b.rate for b in blocks], incumbent, rules):
            return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=True, flags=flags)
    return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=False, flags=flags)


def block(workers: Workers, call_s: float, rules: MeasureRules) -> Block:
    """One block of all workers: they run from the command on, and what falls between two common instants counts.

    So the first call after a pause, whose caches are cold, is made but not counted where calls are short.
    """
    for _ in range(EMPTY_BLOCKS):
        measured = _block(workers, call_s, rules)
        if measured.items > 0:
            return measured
    raise WorkerFailed(
        Status.TIMEOUT, f"{EMPTY_BLOCKS} blocks in a row passed before a worker woke; the machine is overloaded"
    )


def _block(workers: Workers, call_s: float, rules: MeasureRules) -> Block:
    lead_s = LEAD_S + min(call_s, 0.1)
    start_ns = time.monotonic_ns() + int(lead_s * 1e9)
    elapsed_ns = int(max(rules.block_s, call_s) * 1e9)
    workers.send(Measure(start_ns=start_ns, stop_ns=start_ns + elapsed_ns))
    shares = cast(list[Measured], workers.gather(rules.block_timeout_s + 10 * call_s, "measuring a block"))
    return Block(
        start_ns=start_ns,
        elapsed_ns=elapsed_ns,
        items=sum(share.items for share in shares),
        calls=sum(share.calls for share in shares),
        cpu_ns=sum(share.cpu_ns for share in shares),
    )
