"""A simulated queue: workers that answer batches of requests in a time of their own, dealt out in turn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from autotune.core.workload_spec import ServingSpec

Service = Callable[[np.random.Generator], float]
"""The time that the next call takes (s)."""


@dataclass(frozen=True)
class Queue:
    """Calls of up to `size` requests; one begins once so many wait or the oldest waited `delay_s`."""

    service: Service
    size: int = 1
    workers: int = 1
    delay_s: float = 0.0

    def serve(self, rate: float, seconds: float, seed: int) -> list[list[int]]:
        """Latencies (ns) by worker, in the order of arrival, of requests with exponential gaps."""
        random = np.random.default_rng(seed)
        gaps = random.exponential(1 / rate, int(rate * seconds * 2) + 100)
        arrived = list(itertools.takewhile(lambda at: at < seconds, itertools.accumulate(gaps.tolist())))
        return [self.worker(arrived[rank :: self.workers], random) for rank in range(self.workers)]

    def worker(self, arrived: Sequence[float], random: np.random.Generator) -> list[int]:
        """Latencies (ns) of these arrivals at one worker."""
        latencies: list[int] = []
        free, done = 0.0, 0
        while done < len(arrived):
            batch = arrived[done : done + self.size]
            full = batch[-1] if len(batch) == self.size else math.inf
            begin = max(free, min(full, batch[0] + self.delay_s))
            batch = [at for at in batch if at <= begin]
            free = begin + self.service(random)
            latencies += [int((free - at) * 1e9) for at in batch]
            done += len(batch)
        return latencies

    @property
    def capacity(self) -> float:
        """The rate of the closed loop, its calls being full (requests/s)."""
        random = np.random.default_rng(0)
        mean_s = sum(self.service(random) for _ in range(1000)) / 1000
        return self.size * self.workers / mean_s

    def largest(self, wanted: ServingSpec) -> float:
        """The truth: the largest rate at which a long simulation keeps the limit."""
        low, high = 0.01 * self.capacity, self.capacity
        for _ in range(10):
            middle = math.sqrt(low * high)
            latencies = np.concatenate(self.serve(middle, 20_000 / middle, seed=0)) / 1e6
            kept = np.percentile(latencies, int(wanted.percentile[1:])) <= wanted.latency_ms
            low, high = (middle, high) if kept else (low, middle)
        return low


def constant(seconds: float) -> Service:
    """Calls that all take as long."""
    return lambda random: seconds


def varying(seconds: float, spread: float) -> Service:
    """Calls of a gamma distribution with this mean and coefficient of variation."""
    shape = 1 / spread**2
    return lambda random: float(random.gamma(shape, seconds / shape))
