"""A seeded model of a shared machine's noise, and simulated confirmations on it.

Fitted to `facts.md`'s records of a 2-core cloud machine: 0.6 s blocks whose log rate has an SD of 14–16 %, regimes from
one second to minutes that everything on the machine shares, an SD of 14 % of the log ratio of neighbouring blocks, a
canary that correlates by about 0.7 with its neighbouring block. Launches differ by 1 % (SD), each for itself.

One stationary process cannot give all records: 20 independent blocks with an SD of 15 % already average to 3.4 %, and
2.8 % was seen. So that record came from a quieter window: `loudness` 0.35 gives it, 1 the others. What correcting takes
off (20-block means to 0.54 and 0.21 of their SD, 8-block means to 0.69 and 0.46) does not depend on it. Not fitted: the
blocks' extremes (here 2.1× apart in ten minutes, 1.7× recorded).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autotune.core.results import Block, Canary

STEP_S = 0.05
BLOCK_S, CANARY_S = 0.6, 0.1
REGIMES = np.array([0.0, -0.06, -0.18])
REGIME_S = (1.0, 120.0)
BURSTS_PER_S, BURST, BURST_S = 0.35, -0.29, (0.2, 2.5)
BLOCK_SD, CANARY_SD, PART_SD = 0.06, 0.105, 0.06
LAUNCH_SD = 0.01

Runs = list[list[list[Block]]]
"""Blocks by system, interleaved run and round."""


class Machine:
    """A machine with a clock: blocks and canaries take its time, and its speed changes as that goes by."""

    def __init__(self, seed: int, loudness: float = 1.0, seconds: float = 1200.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.loudness = loudness
        self.now_s = 0.0
        self._passed = np.concatenate([[0.0], np.cumsum(self._speed(int(seconds / STEP_S)))])
        self._senses = self.canary()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds

    def canary(self) -> np.ndarray:
        """The log parts: one value per computation."""
        noise = self.rng.normal(0, CANARY_SD) + self.rng.normal(0, PART_SD, 3)
        return self._mean(CANARY_S) + self.loudness * noise

    def block(self, log_rate: float) -> Block:
        """One block and the canary behind it; the block bears the mean of the two around it."""
        log = log_rate + self._mean(BLOCK_S) + self.loudness * self.rng.normal(0, BLOCK_SD)
        before, self._senses = self._senses, self.canary()
        compute, memory, scalar = map(math.exp, ((before + self._senses) / 2).tolist())
        canary = Canary(cores=2, compute=compute, memory=memory, scalar=scalar)
        return Block(start_ns=0, elapsed_ns=10**9, items=math.exp(log), calls=1, cpu_ns=0, canary=canary)

    def _speed(self, steps: int) -> np.ndarray:
        total = steps + (settle := int(3 * REGIME_S[1] / STEP_S))
        dwells = (np.exp(self.rng.uniform(*np.log(REGIME_S), total // 20)) / STEP_S).round().astype(int)
        dwells = dwells[: np.searchsorted(np.cumsum(dwells), total) + 1]
        regimes = np.repeat(REGIMES[np.cumsum(self.rng.integers(1, 3, len(dwells))) % 3], dwells)[:total]
        count = self.rng.poisson(BURSTS_PER_S * total * STEP_S)
        starts = self.rng.integers(0, total, count)
        ends = starts + (np.exp(self.rng.uniform(*np.log(BURST_S), count)) / STEP_S).round().astype(int)
        bursts = np.bincount(starts, minlength=total)[:total] - np.bincount(ends, minlength=total)[:total]
        return self.loudness * (regimes + BURST * (np.cumsum(bursts) > 0))[settle:]

    def _mean(self, seconds: float) -> float:
        start, self.now_s = self.now_s, self.now_s + seconds
        first, last = round(start / STEP_S), round(self.now_s / STEP_S)
        return float(self._passed[last] - self._passed[first]) / (last - first)


def live(machine: Machine, systems: Sequence[float], runs: int, rounds: int, start_s: float = 5.0) -> Runs:
    """A confirmation: each run starts all systems (given by their log rates) and takes blocks in random order."""
    blocks: Runs = [[] for _ in systems]
    for _ in range(runs):
        machine.wait(start_s * len(systems))
        started = np.asarray(systems) + machine.rng.normal(0, LAUNCH_SD, len(systems))
        for system in blocks:
            system.append([])
        for _ in range(rounds):
            for i in machine.rng.permutation(len(systems)):
                blocks[i][-1].append(machine.block(started[i]))
    return blocks


def in_turn(machine: Machine, systems: Sequence[float], launches: int, blocks: int, start_s: float = 5.0) -> Runs:
    """The other way: one fresh process after the other, all its blocks at once."""
    measured: Runs = [[] for _ in systems]
    for _ in range(launches):
        for system, log_rate in zip(measured, systems, strict=True):
            machine.wait(start_s)
            started = log_rate + machine.rng.normal(0, LAUNCH_SD)
            system.append([machine.block(started) for _ in range(blocks)])
    return measured
