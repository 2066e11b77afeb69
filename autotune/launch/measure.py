"""Driving loaded workers block by block: warm-up, then blocks until the rate is known or the trial is hopeless."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import cast

from autotune import stats
from autotune.launch.process import WorkerFailed, Workers
from autotune.protocol import Measure, Measured
from autotune.results import Block, Status
from autotune.rules import MeasureRules
from autotune.types import Struct

LEAD_S = 0.005
"""Between a command and the common start: time for every worker to read it."""

SHORT_CALL_S = 0.05
"""Calls up to this long are made once before the start: caches that are cold after a pause would slow them."""

EDGE = 0.97
"""A block ends this far into its last expected call, so that little of one more call is made in vain."""

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
    batch_size: int,
    rules: MeasureRules,
    incumbent: float | None,
    measured: Callable[[tuple[Block, ...]], None],
) -> Measurement:
    """Warm up, then measure until `stats` says that it is enough; `measured` is told the blocks after each one."""
    warmup = [block(workers, batch_size, [], rules)]
    if stats.hopeless(warmup[0].rate, incumbent, rules):
        return Measurement(warmup=(), blocks=tuple(warmup), rejected=True)
    flags: tuple[str, ...] = ()
    while stats.still_rising([b.rate for b in warmup], rules):
        if sum(b.elapsed_ns for b in warmup) >= rules.warmup_s * 1e9:
            flags = ("not_steady",)
            break
        warmup.append(block(workers, batch_size, warmup, rules))
    if stats.clearly_slower([b.rate for b in warmup[-2:]], incumbent, rules):
        return Measurement(warmup=tuple(warmup[:-2]), blocks=tuple(warmup[-2:]), rejected=True, flags=flags)

    blocks: list[Block] = []
    while not stats.enough([b.rate for b in blocks], sum(b.elapsed_ns for b in blocks) / 1e9, rules):
        blocks.append(block(workers, batch_size, warmup + blocks, rules))
        measured(tuple(blocks))
        if stats.clearly_slower([b.rate for b in blocks], incumbent, rules):
            return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=True, flags=flags)
    return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=False, flags=flags)


def block(workers: Workers, batch_size: int, before: Sequence[Block], rules: MeasureRules) -> Block:
    """One block of all workers, which run from the command on; what falls between two common instants counts.

    The block before says how long a call takes: the window then holds whole calls, `block_s` or more.
    """
    call = len(workers) * batch_size / before[-1].rate if before else None
    for _ in range(EMPTY_BLOCKS):
        found = _block(workers, len(before), call, rules)
        if found.items > 0:
            return found
    raise WorkerFailed(Status.TIMEOUT, f"in {EMPTY_BLOCKS} blocks no call was made; the machine is overloaded")


def window_s(call: float | None, rules: MeasureRules) -> float:
    """The length of a block's window: the fewest whole calls that fill `block_s`, less a little of the last."""
    if call is None or call <= SHORT_CALL_S:
        return rules.block_s
    calls = math.ceil(rules.block_s / call / EDGE)
    return calls * call - (1 - EDGE) * call


def _block(workers: Workers, number: int, call: float | None, rules: MeasureRules) -> Block:
    lead_s = LEAD_S + (call if call is not None and call <= SHORT_CALL_S else 0.0)
    start_ns = time.monotonic_ns() + int(lead_s * 1e9)
    elapsed_ns = int(window_s(call, rules) * 1e9)
    workers.send(Measure(block=number, start_ns=start_ns, stop_ns=start_ns + elapsed_ns))
    shares = cast(list[Measured], workers.gather(rules.block_timeout_s + 10 * (call or 0.0), "measuring a block"))
    return Block(
        start_ns=start_ns,
        elapsed_ns=elapsed_ns,
        items=sum(share.items for share in shares),
        calls=sum(share.calls for share in shares),
        cpu_ns=sum(share.cpu_ns for share in shares),
    )
