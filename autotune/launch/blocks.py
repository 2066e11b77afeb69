"""Taking blocks of loaded workers: common instants, whole calls, a look at the machine before and after."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from autotune.core.protocol import Measure, Measured
from autotune.core.results import Block, Interference, Status
from autotune.core.rules import MeasureRules
from autotune.launch.interference import InterferenceMonitor
from autotune.launch.worker_pool import WorkerFailed, Workers

LEAD_S = 0.005
"""Between a command and the common start: time for every worker to read it."""

WARM_CALL_S = 0.25
"""Calls up to this long are made once before the start: caches that are cold after a pause would slow them."""

SHORT_CALL_S = 0.05
"""Calls up to this long need no window of whole calls: the edges do not matter."""

EDGE = 0.97
"""A block ends this far into its last expected call, so that little of one more call is made in vain."""

EMPTY_BLOCKS = 3
"""The most blocks without a call in them (a stalled machine) before the trial is given up."""


@dataclass
class BlockRunner:
    """The workers of one configuration and the blocks taken of them; between blocks they are stopped.

    `call_s` follows the rate. `run_s` is how long a program runs, whose rate does not tell: a run may do many batches.
    `over_quota` says that the workers' threads alone use up the CPU quota.
    """

    workers: Workers
    batch_size: int
    monitor: InterferenceMonitor
    rules: MeasureRules
    repeated: list[Block] = field(default_factory=list)
    number: int = 0
    call_s: float | None = None
    run_s: float | None = None
    over_quota: bool = False

    def block(self) -> Block:
        """The next block; one that was disturbed is measured again, at most so often as the rules say."""
        block = self._watched()
        for _ in range(self.rules.disturbed_repeats):
            if not block.disturbances:
                break
            self.repeated.append(block)
            block = self._watched()
        return block

    def warm(self) -> Block:
        """A first block that will not count, without looks at the machine."""
        block = self._filled()
        self.workers.pause()
        return block

    def _watched(self) -> Block:
        """One block between two looks at the machine."""
        before, usage = self.monitor.before(), self.monitor.usage(self.workers.pids)
        block = self._filled()
        self.workers.pause()
        later = self.monitor.usage(self.workers.pids)
        cores = len(self.monitor.cpus)
        throttled, periods = usage.throttled(later, cores)
        used = Interference(
            others=usage.others(later, cores),
            throttled=throttled,
            throttled_periods=periods,
            energy_j=usage.joules(later, block.elapsed_ns / 1e9),
        )
        canary, interference, disturbances = self.monitor.between(
            before, self.monitor.after(), used, over_quota=self.over_quota
        )
        return msgspec.structs.replace(block, canary=canary, interference=interference, disturbances=disturbances)

    def _filled(self) -> Block:
        for _ in range(EMPTY_BLOCKS):
            block = self._block()
            if block.items > 0:
                self.call_s = len(self.workers) * self.batch_size / block.rate
                return block
        raise WorkerFailed(Status.TIMEOUT, f"in {EMPTY_BLOCKS} blocks no call was made; the machine is overloaded")

    def _block(self) -> Block:
        """The work that falls between two common instants; the workers run from the command on."""
        call_s, number = self.run_s or self.call_s, self.number
        self.number += 1
        start_ns = time.monotonic_ns() + int((LEAD_S + warm_s(call_s)) * 1e9)
        elapsed_ns = int(window_s(call_s, self.rules) * 1e9)
        self.workers.send(Measure(block=number, start_ns=start_ns, stop_ns=start_ns + elapsed_ns))
        limit_s = self.rules.block_timeout_s + 10 * (call_s or 0.0)
        shares = cast(list[Measured], self.workers.gather(limit_s, "measuring a block"))
        return Block(
            number=number,
            start_ns=start_ns,
            elapsed_ns=elapsed_ns,
            items=sum(share.items for share in shares),
            calls=sum(share.calls for share in shares),
            cpu_ns=sum(share.cpu_ns for share in shares),
            growth_bytes=_mean([share.growth_bytes for share in shares if share.growth_bytes is not None]),
        )


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def warm_s(call_s: float | None) -> float:
    """The time (s) that a block runs before it counts: about one call, where that is affordable."""
    return call_s if call_s is not None and call_s <= WARM_CALL_S else 0.0


def window_s(call_s: float | None, rules: MeasureRules) -> float:
    """The length of a block's window: the fewest whole calls that fill `block_s`, less a little of the last."""
    if call_s is None or call_s <= SHORT_CALL_S:
        return rules.block_s
    calls = math.ceil(rules.block_s / call_s / EDGE)
    return calls * call_s - (1 - EDGE) * call_s
