"""Measuring one configuration: warm-up, then blocks until the rate is known or the trial is hopeless."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from autotune.analysis import drift, stopping
from autotune.core.results import Block
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct
from autotune.launch.blocks import BlockRunner


class Measurement(Struct):
    """The blocks of a trial; rejected ones have few."""

    warmup: tuple[Block, ...]
    blocks: tuple[Block, ...]
    rejected: bool
    flags: tuple[str, ...] = ()


def measure(
    bench: BlockRunner,
    rules: MeasureRules,
    incumbent: float | None,
    measured: Callable[[tuple[Block, ...]], None],
) -> Measurement:
    """Warm up, then measure until `stopping` says that it is enough; `measured` is told the blocks after each one.

    All is decided on rates that are corrected by what the study knows so far; `incumbent` is one, too.
    """

    def rates(blocks: Sequence[Block]) -> list[float]:
        return drift.corrected(blocks, rules.correction)

    warmup = [bench.block()]
    if stopping.hopeless(rates(warmup)[0], incumbent, rules):
        return Measurement(warmup=(), blocks=tuple(warmup), rejected=True)
    flags: tuple[str, ...] = ()
    while stopping.still_warming_up(rates(warmup), rules):
        if sum(block.elapsed_ns for block in warmup) >= rules.warmup_s * 1e9:
            flags = ("not_steady",)
            break
        warmup.append(bench.block())
    if stopping.clearly_slower(rates(warmup[-2:]), incumbent, rules):
        return Measurement(warmup=tuple(warmup[:-2]), blocks=tuple(warmup[-2:]), rejected=True, flags=flags)

    blocks: list[Block] = []
    while not stopping.precise_enough(rates(blocks), sum(block.elapsed_ns for block in blocks) / 1e9, rules):
        blocks.append(bench.block())
        measured(tuple(blocks))
        if stopping.clearly_slower(rates(blocks), incumbent, rules):
            return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=True, flags=flags)
    return Measurement(warmup=tuple(warmup), blocks=tuple(blocks), rejected=False, flags=flags)
