"""The workers of one trial: driven over pipes, watched for death, hangs and memory, killed at the end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from autotune.core.full_disk import NO_SPACE
from autotune.core.protocol import Building, Command, Failed, Reply
from autotune.core.results import Status
from autotune.hardware import cgroups
from autotune.launch import logs, orphans, process, process_tree
from autotune.launch.launch_plan import LaunchPlan, WorkerPlan
from autotune.launch.patience import Patience, Setup
from autotune.launch.process import Worker

POLL_S = 0.25
"""The interval at which a waiting coordinator looks at clocks and pipes; it never spins beside a measurement."""

LOOK_S = 1.0
"""The least time between two looks at the memory and CPU time of all workers."""

PAUSE_S = 0.3
"""The longest time for stopping the workers; it is a matter of microseconds."""


class WorkerFailed(Exception):
    """A worker cannot go on; becomes the trial's status, never reaches a user as an exception.

    `passing` is true of what need not happen again: SIGKILL ended it, which may have been another's doing, or it came
    of the user's own code, of a file or a module that was not there.
    """

    def __init__(self, status: Status, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.passing = passing


def nothing() -> None:
    """What is watched beside the workers where nothing is."""


@dataclass
class Workers:
    """Running workers of one trial, in rank order.

    `watch` raises what ends the measurement, whatever the workers say: they may have failed of it.
    """

    folder: Path
    memory_limit_bytes: int
    deadline: float | None
    watch: Callable[[], None] = nothing
    workers: list[Worker] = field(default_factory=list)
    oom_kills: int | None = None
    looked: float = float("-inf")
    paused: bool = False

    def __len__(self) -> int:
        return len(self.workers)

    @property
    def pids(self) -> list[int]:
        """The workers' process numbers, in rank order."""
        return [worker.process.pid for worker in self.workers]

    def pause(self) -> None:
        """Stop every worker with all its threads, until something is sent: a runtime that spins would disturb others.

        What cannot be stopped within `PAUSE_S` (it waits for a disk, say) is idle anyway.
        """
        self.paused = True
        for worker in self.workers:
            orphans.signal_group(worker.process.pid, signal.SIGSTOP)
        limit = time.monotonic() + PAUSE_S
        for worker in self.workers:
            while not _stopped(worker.process.pid) and time.monotonic() < limit:
                time.sleep(0.0002)

    def send(self, command: Command) -> None:
        """The same command to every worker; a worker that is gone is noticed by the next gather."""
        if self.paused:
            self.paused = False
            for worker in self.workers:
                orphans.signal_group(worker.process.pid, signal.SIGCONT)
        line = msgspec.json.encode(command) + b"\n"
        for worker in self.workers:
            with contextlib.suppress(BrokenPipeError):
                os.write(worker.commands, line)

    def gather(self, timeout_s: float, doing: str, setup: Setup | None = None) -> list[Reply]:
        """One reply of each worker; WorkerFailed on a death, a failure, a hang or too much memory.

        With `setup`, those hang that neither answer nor use CPU time; the user's code has a time of its own. A full
        disk raises OSError.
        """
        try:
            replies = self._replies(Patience(timeout_s, doing, setup))
        except WorkerFailed:
            self.watch()
            raise
        self.watch()
        return replies

    def _replies(self, patience: Patience) -> list[Reply]:
        replies: dict[int, Reply] = {}
        self._take(replies, patience)
        while len(replies) < len(self.workers):
            gone = self._read([rank for rank in range(len(self.workers)) if rank not in replies])
            self._take(replies, patience)
            if gone:
                raise self._death(self.workers[gone[0]], passing=patience.builds(gone[0]))
            self._look(replies, patience)
            if left := [rank for rank in range(len(self.workers)) if rank not in replies]:
                self._check_time(left, patience)
        return [replies[rank] for rank in range(len(self.workers))]

    def _take(self, replies: dict[int, Reply], patience: Patience) -> None:
        """The answer of each worker that has not given one; what follows it waits for the next gather."""
        for rank, worker in enumerate(self.workers):
            while rank not in replies and b"\n" in worker.buffer:
                line, _, worker.buffer = worker.buffer.partition(b"\n")
                reply: Reply | Building = msgspec.json.decode(line, type=Reply | Building)
                if isinstance(reply, Building):
                    patience.note(rank, done=reply.done)
                    continue
                if isinstance(reply, Failed):
                    if reply.errno in NO_SPACE:
                        raise OSError(reply.errno, os.strerror(reply.errno), reply.path or str(self.folder))
                    raise WorkerFailed(reply.status, reply.message, passing=reply.passing or patience.builds(rank))
                replies[rank] = reply

    def _read(self, ranks: Sequence[int]) -> list[int]:
        """Wait a little for what these workers say; the ranks of those that will say no more."""
        ended = [rank for rank in ranks if self.workers[rank].process.poll() is not None]
        with selectors.DefaultSelector() as selector:
            for rank in ranks:
                selector.register(self.workers[rank].replies, selectors.EVENT_READ, rank)
            ready = [key.data for key, _ in selector.select(POLL_S)]
        gone = [rank for rank in ended if rank not in ready]  # what it forked still holds its pipe open
        for rank in ready:
            data = os.read(self.workers[rank].replies, 65536)
            self.workers[rank].buffer += data
            if not data:
                gone.append(rank)
        return gone

    def _death(self, worker: Worker, *, passing: bool) -> WorkerFailed:
        code = worker.exit_status(timeout_s=5)
        if code is None:
            return WorkerFailed(Status.CRASHED, "a worker closed its pipe but still runs")
        last = last_line(self.folder / "stderr.log")
        if code == -signal.SIGKILL:
            return self._killed()
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
        return WorkerFailed(Status.CRASHED, f"a worker {how}" + (f": {last}" if last else ""), passing=passing)

    def _killed(self) -> WorkerFailed:
        """The failure of a worker that SIGKILL ended: by the kernel for lack of memory, or by somebody else."""
        kills = cgroups.oom_kills()
        status, why = Status.OUT_OF_MEMORY, "most likely for lack of memory"
        if kills is not None and kills == self.oom_kills:
            status, why = Status.CRASHED, "and not for lack of memory as far as the kernel counts"
        return WorkerFailed(status, f"a worker was killed by SIGKILL, {why}", passing=True)

    def _look(self, replies: dict[int, Reply], patience: Patience) -> None:
        now = time.monotonic()
        if now - self.looked < LOOK_S:
            return
        self.looked = now
        self.watch()
        trees = process_tree.trees(self.pids)
        used = sum(process_tree.memory_bytes(one) for one in trees)
        if used > self.memory_limit_bytes:
            used = sum(process_tree.proportional_bytes(one) for one in trees)
        if used > self.memory_limit_bytes:
            raise WorkerFailed(
                Status.OUT_OF_MEMORY,
                f"the workers use {used / 2**30:.1f} GiB; allowed are {self.memory_limit_bytes / 2**30:.1f} GiB",
            )
        waiting = {rank: process_tree.cpu_s(one) for rank, one in enumerate(trees) if rank not in replies}
        if (reason := patience.idle(waiting)) is not None:
            raise WorkerFailed(Status.TIMEOUT, reason)

    def _check_time(self, ranks: Sequence[int], patience: Patience) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise WorkerFailed(Status.INTERRUPTED, f"the study's time ended while {patience.doing}")
        if (reason := patience.lost(ranks)) is not None:
            raise WorkerFailed(Status.TIMEOUT, reason)


@contextlib.contextmanager
def start(
    plan: LaunchPlan,
    job: Path,
    folder: Path,
    memory_limit_bytes: int,
    deadline: float | None = None,
    inherited: tuple[int, ...] = (),
    watch: Callable[[], None] = nothing,
) -> Iterator[Workers]:
    """The workers of a plan, each handed the job file; killed with all their children on leaving, however that is.

    They inherit these file descriptors: a lock that they hold outlives a killed coordinator as long as they do.
    """
    running = Workers(folder, memory_limit_bytes, deadline, watch, oom_kills=cgroups.oom_kills())
    record = folder / "processes.json"
    with logs.bounded(folder):
        try:
            for rank, entry in enumerate(plan.workers):
                running.workers.append(_started(entry, job, rank, folder, inherited))
                orphans.note(record, running.pids)
            yield running
        finally:
            for worker in running.workers:
                if worker.process.returncode is None:  # until it is waited for, its number is nobody else's
                    process_tree.kill(worker.process.pid)
                orphans.signal_group(worker.process.pid, signal.SIGKILL)
                worker.process.wait()
                os.close(worker.commands)
                os.close(worker.replies)
            record.unlink(missing_ok=True)


def _started(entry: WorkerPlan, job: Path, rank: int, folder: Path, inherited: tuple[int, ...]) -> Worker:
    try:
        return process.spawn(entry.argv, entry.env, job, rank, folder, inherited)
    except OSError as error:
        if error.errno in NO_SPACE:
            raise
        said = f"{entry.argv[0]} does not start: {error.strerror or error}"
        raise WorkerFailed(Status.CRASHED, said) from error


def last_line(path: Path) -> str:
    """The last line of a log that says something, at most 300 characters."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return lines[-1][:300] if lines else ""


def _stopped(pid: int) -> bool:
    """True if a child stands still with all its threads, or is gone; the kernel says so once the last one stopped."""
    try:
        return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
