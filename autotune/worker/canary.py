"""The canary: a small fixed computation on every core that a trial uses, which senses how fast the machine is now.

One process with a pinned thread a core. All threads run the same part at the same time: a product of matrices, a copy
that does not fit a core's own cache, a hash. Each of these lets go of the interpreter's lock, and none starts threads.
"""

from __future__ import annotations

import hashlib
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from autotune.core.protocol import Finish, Sense, Sensed
from autotune.core.results import Canary
from autotune.worker.channel import Channel

MATRIX = 384
HASHED_BYTES = 2**20
COPIED_BYTES = 2**24
ALL_COPIED_BYTES = 2**30
"""The most that the sources and targets of all the machine's cores take together."""

LEAD_S = 0.002
PARTS = 3

clock = time.monotonic


def run(channel: Channel) -> None:
    """Answer `Sense` until told to finish or the coordinator is gone."""
    threads: dict[int, _Thread] = {}
    while isinstance(command := channel.receive(), Sense):
        channel.send(Sensed(canary=sense(threads, command.cpus, command.seconds)))
    assert command is None or isinstance(command, Finish)


def sense(threads: dict[int, _Thread], cpus: Sequence[int], seconds: float) -> Canary:
    """The parts' rates, each a geometric mean over the CPUs; OSError if a thread cannot be pinned."""
    for cpu in cpus:
        if cpu not in threads:
            threads[cpu] = _Thread(cpu, min(COPIED_BYTES, ALL_COPIED_BYTES // (2 * (os.cpu_count() or 1))))
    start = clock() + LEAD_S
    for cpu in cpus:
        threads[cpu].ask(start, seconds / PARTS)
    rates = [threads[cpu].answer() for cpu in cpus]
    compute, memory, scalar = (
        math.exp(math.fsum(map(math.log, part)) / len(part)) for part in zip(*rates, strict=True)
    )
    return Canary(cores=len(cpus), compute=compute, memory=memory, scalar=scalar)


class _Thread:
    """One CPU's thread, which sleeps between two askings."""

    def __init__(self, cpu: int, copied_bytes: int) -> None:
        self._asked: queue.SimpleQueue[tuple[float, float]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[float] | Exception] = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(cpu, copied_bytes), daemon=True).start()

    def ask(self, start: float, slot_s: float) -> None:
        """Run the parts from an instant on, one a slot."""
        self._asked.put((start, slot_s))

    def answer(self) -> list[float]:
        """The rates of the parts."""
        rates = self._answers.get()
        if isinstance(rates, Exception):
            raise rates
        return rates

    def _serve(self, cpu: int, copied_bytes: int) -> None:
        try:
            os.sched_setaffinity(0, (cpu,))  # of this thread alone
        except OSError as error:
            self._answers.put(OSError(error.errno, f"the canary cannot be pinned to CPU {cpu}: {error.strerror}"))
            return
        try:
            parts = _parts(copied_bytes)
            while True:
                start, slot_s = self._asked.get()
                self._answers.put([_rate(part, start + i * slot_s, slot_s) for i, part in enumerate(parts)])
        except Exception as error:  # raised where the answer is taken: a thread's own end would go unnoticed
            self._answers.put(error)


def _parts(copied_bytes: int) -> tuple[Callable[[], object], ...]:
    matrix = np.ones((MATRIX, MATRIX), np.float32)
    product = np.empty_like(matrix)
    source = np.ones(copied_bytes, np.uint8)
    target = np.zeros_like(source)
    text = bytes(HASHED_BYTES)
    return (
        lambda: np.matmul(matrix, matrix, out=product),
        lambda: np.copyto(target, source),
        lambda: hashlib.sha256(text).digest(),
    )


def _rate(part: Callable[[], object], start: float, slot_s: float) -> float:
    """Operations per second in the slot; the first one is not counted, its caches are cold."""
    time.sleep(max(0.0, start - clock()))
    part()
    begin = now = clock()
    count = 0
    while now == begin or now < start + slot_s:
        part()
        count += 1
        now = clock()
    return count / (now - begin)
