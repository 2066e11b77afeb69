"""Several processes of one program, as if they were one: a signal reaches all of them, one exit status comes back."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

from autotune.launch import orphans, process
from autotune.launch.launch_plan import LaunchPlan
from autotune.launch.process import Program

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PASSED = (*STOPPING, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
GRACE_S = 10.0
"""The time that the others have to end by themselves after SIGTERM, once one has failed."""

PR_SET_PDEATHSIG = 1

WaitForSignals = Callable[[float | None], set[int]]


def run(plan: LaunchPlan, grace_s: float = GRACE_S) -> int:
    """Run all workers until the last has ended: 0, or the status of the first that failed (128 + its signal).

    Once one has failed the others are ended. What a worker leaves in its process group ends with it, and all of them
    with this process, however it ends. OSError if one does not start.
    """
    workers: list[Program] = []
    libc = ctypes.CDLL(None)
    with _signals() as wait:
        try:
            for entry in plan.workers:
                before = functools.partial(_before_exec, libc, os.getpid(), entry.placement.cpus)
                workers.append(process.program(entry.argv, entry.env, before))
            return _supervise(workers, wait, grace_s)
        finally:
            for worker in workers:
                if worker.returncode is None:
                    _reap(worker)


def _before_exec(libc: ctypes.CDLL, parent: int, cpus: tuple[int, ...]) -> None:
    """In the child, before its program: pinned, and killed by the kernel when its parent dies."""
    os.sched_setaffinity(0, cpus)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _supervise(workers: list[Program], wait: WaitForSignals, grace_s: float) -> int:
    """Pass signals on and reap what ends, until all have; after a failure SIGTERM for the others, then SIGKILL."""
    alive, status, stopping = list(workers), 0, False
    deadline: float | None = None
    while alive:
        for number in wait(None if deadline is None else max(0.0, deadline - time.monotonic())):
            stopping |= number in STOPPING
            for worker in alive:
                os.kill(worker.pid, number)  # until it is waited for, its number is nobody else's
        for worker in [worker for worker in alive if _ended(worker)]:
            alive.remove(worker)
            code = _reap(worker)
            status = status or (code if code >= 0 else 128 - code)
        if status and deadline is None and not stopping:  # they were told already, and may be finishing their work
            deadline = time.monotonic() + grace_s
            for worker in alive:
                os.kill(worker.pid, signal.SIGTERM)
        if deadline is not None and time.monotonic() >= deadline:
            for worker in alive:
                orphans.signal_group(worker.pid, signal.SIGKILL)
            deadline = time.monotonic() + grace_s
    return status


def _ended(worker: Program) -> bool:
    return os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _reap(worker: Program) -> int:
    """The worker's status, all of its group ended."""
    orphans.signal_group(worker.pid, signal.SIGKILL)
    return worker.wait()


@contextlib.contextmanager
def _signals() -> Iterator[WaitForSignals]:
    """A function that waits (s; None: without limit) for a signal or a child's end, and returns those to pass on.

    Signals that this process was started to ignore (`nohup`) stay ignored, by the workers too.
    """
    passed = [number for number in PASSED if signal.getsignal(number) is not signal.SIG_IGN]
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {number: signal.signal(number, _ignore) for number in (*passed, signal.SIGCHLD)}
    waking = signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def wait(timeout_s: float | None) -> set[int]:
        if not select.select([read], [], [], timeout_s)[0]:
            return set()
        return set(os.read(read, 65536)) & set(passed)

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(waking)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(read)
        os.close(write)


def _ignore(number: int, frame: object) -> None:
    """Do nothing: that there is a handler has the signal written into the pipe."""
