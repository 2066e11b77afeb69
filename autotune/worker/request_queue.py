"""Answering requests that arrive by themselves: one queue a worker, batches that wait a little for more.

This is an open loop: a request arrives whether or not the one before was answered, and its latency counts from then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from autotune.core.interfaces import Session
from autotune.core.protocol import Answered, Serve

SPIN_NS = 200_000
"""The last part of a wait, in which the CPU is only yielded: a sleeper may be woken a tenth of a millisecond late."""

Instants = np.ndarray[Any, np.dtype[np.int64]]

clock = time.monotonic_ns


def answer(session: Session, batch: Any, size: int, command: Serve, rank: int, workers: int) -> Answered:
    """This worker's share of the requests: every `workers`-th, as a balancer deals them out in turn.

    The model always runs its full batch. It is called once before the start: a pause left the caches cold. Who has not
    been answered when the time of the arrivals has passed a second time is given up.
    """
    if clock() < command.start_ns:
        session(batch)
    share = arrivals(command)[rank::workers]
    limit_ns = 2 * command.stop_ns - command.start_ns
    latencies, unanswered = drain(lambda: session(batch), share, size, command.queue_delay_ns, limit_ns)
    return Answered(latencies_ns=tuple(latencies.tolist()), unanswered=unanswered)


def arrivals(command: Serve) -> Instants:
    """The arrival times of all workers' requests (ns, rising): a Poisson process from start to stop.

    Given how many there are, such arrivals are uniform over the time.
    """
    random = np.random.default_rng([command.seed, command.probe])
    window_ns = command.stop_ns - command.start_ns
    instants = random.uniform(0, window_ns, random.poisson(command.rate * window_ns / 1e9))
    return command.start_ns + np.sort(instants).astype(np.int64)


def wait_until(instant_ns: int) -> None:
    """Sleep until shortly before an instant, then yield: others may have the CPU, and the instant is met."""
    while (left_ns := instant_ns - clock()) > SPIN_NS:
        time.sleep((left_ns - SPIN_NS) / 1e9)
    while clock() < instant_ns:
        os.sched_yield()


def drain(
    call: Callable[[], Any],
    arrived: Instants,
    size: int,
    delay_ns: int,
    limit_ns: int,
    now: Callable[[], int] = clock,
    wait: Callable[[int], None] = wait_until,
) -> tuple[Instants, int]:
    """Answer requests in the order of their arrival; their latencies (ns) and how many were given up at `limit_ns`.

    A batch begins as soon as `size` requests wait or the oldest has waited `delay_ns`, and takes up to `size`.
    """
    done, count = 0, len(arrived)
    latencies = np.empty(count, np.int64)
    while done < count:
        due = int(arrived[done]) + delay_ns
        if done + size <= count:
            due = min(due, int(arrived[done + size - 1]))
        wait(min(due, limit_ns))
        begin = now()
        if begin >= limit_ns:
            break
        last = min(done + size, int(arrived.searchsorted(begin, "right")))
        call()
        latencies[done:last] = now() - arrived[done:last]
        done = last
    latencies[done:] = now() - arrived[done:]
    return latencies, count - done
