"""The only file that starts processes: workers in sessions of their own, driven over pipes, always reaped."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from autotune.protocol import Command, Failed, Reply
from autotune.results import Status
from autotune.types import LaunchPlan, Struct

POLL_S = 0.25
"""How often a waiting coordinator looks at clocks and memory; it never spins beside a measurement."""


class WorkerFailed(Exception):
    """A worker cannot go on; becomes the trial's status, never reaches a user as an exception."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


class Started(Struct):
    """One line of `processes.json`: enough to recognise a process after its coordinator died."""

    pid: int
    started: float


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    commands: int
    replies: int
    buffer: bytes = b""


@dataclass
class Workers:
    """Running workers of one trial, in rank order."""

    folder: Path
    memory_limit_bytes: int
    deadline: float | None
    workers: list[_Worker] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.workers)

    def send(self, command: Command) -> None:
        """The same command to every worker; a worker that is gone is noticed by the next gather."""
        line = msgspec.json.encode(command) + b"\n"
        for worker in self.workers:
            with contextlib.suppress(BrokenPipeError):
                os.write(worker.commands, line)

    def gather(self, timeout_s: float, doing: str) -> list[Reply]:
        """One reply of each worker; WorkerFailed on a death, a failure, a hang or too much memory."""
        limit = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            for rank, worker in enumerate(self.workers):
                selector.register(worker.replies, selectors.EVENT_READ, rank)
            replies: dict[int, Reply] = {}
            while len(replies) < len(self.workers):
                gone = [
                    w for rank, w in enumerate(self.workers) if rank not in replies and w.process.poll() is not None
                ]
                events = selector.select(POLL_S)
                if gone and not events:  # what it forked still holds its pipe open
                    raise self._death(gone[0])
                for key, _ in events:
                    reply = self._read(self.workers[key.data])
                    if isinstance(reply, Failed):
                        raise WorkerFailed(reply.status, reply.message)
                    if reply is not None:
                        replies[key.data] = reply
                        selector.unregister(key.fileobj)
                self._check_memory()
                self._check_time(limit, timeout_s, doing)
        return [replies[rank] for rank in range(len(self.workers))]

    def _read(self, worker: _Worker) -> Reply | None:
        data = os.read(worker.replies, 65536)
        if not data:
            raise self._death(worker)
        worker.buffer += data
        line, newline, rest = worker.buffer.partition(b"\n")
        if not newline:
            return None
        worker.buffer = rest
        return msgspec.json.decode(line, type=Reply)  # type: ignore[no-any-return]

    def _death(self, worker: _Worker) -> WorkerFailed:
        try:
            code = worker.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return WorkerFailed(Status.CRASHED, "a worker closed its pipe but still runs")
        last = last_line(self.folder / "stderr.log")
        if code == -signal.SIGKILL:
            return WorkerFailed(Status.OUT_OF_MEMORY, "a worker was killed by SIGKILL, most likely for want of memory")
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
        return WorkerFailed(Status.CRASHED, f"a worker {how}" + (f": {last}" if last else ""))

    def _check_memory(self) -> None:
        used = sum(_rss_bytes(worker.process.pid) for worker in self.workers)
        if used > self.memory_limit_bytes:
            raise WorkerFailed(
                Status.OUT_OF_MEMORY,
                f"the workers use {used / 2**30:.1f} GiB; allowed are {self.memory_limit_bytes / 2**30:.1f} GiB",
            )

    def _check_time(self, limit: float, timeout_s: float, doing: str) -> None:
        now = time.monotonic()
        if self.deadline is not None and now > self.deadline:
            raise WorkerFailed(Status.INTERRUPTED, f"the study's time ended while {doing}")
        if now > limit:
            raise WorkerFailed(Status.TIMEOUT, f"no answer within {timeout_s:.0f} s while {doing}")


@contextlib.contextmanager
def start(
    plan: LaunchPlan, job: Path, folder: Path, memory_limit_bytes: int, deadline: float | None = None
) -> Iterator[Workers]:
    """The workers of a plan, each handed the job file; killed with all their children on leaving, however that is."""
    running = Workers(folder=folder, memory_limit_bytes=memory_limit_bytes, deadline=deadline)
    record = folder / "processes.json"
    try:
        for rank, entry in enumerate(plan.workers):
            running.workers.append(_spawn(entry.argv, entry.env, job, rank, folder))
            pids = [worker.process.pid for worker in running.workers]
            started = [Started(pid=pid, started=psutil.Process(pid).create_time()) for pid in pids]
            record.write_bytes(msgspec.json.encode(started))
        yield running
    finally:
        for worker in running.workers:
            _kill_group(worker.process.pid)
            worker.process.wait()
            os.close(worker.commands)
            os.close(worker.replies)
        record.unlink(missing_ok=True)


def _spawn(argv: tuple[str, ...], env: dict[str, str], job: Path, rank: int, folder: Path) -> _Worker:
    command_read, command_write = os.pipe()
    reply_read, reply_write = os.pipe()
    own = (str(job), str(rank), str(command_read), str(reply_write), str(os.getpid()))
    try:
        with (folder / "stdout.log").open("ab") as out, (folder / "stderr.log").open("ab") as err:
            process = subprocess.Popen(
                [*argv, *own],
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=(command_read, reply_write),
                start_new_session=True,
            )
    except BaseException:
        os.close(command_write)
        os.close(reply_read)
        raise
    finally:
        os.close(command_read)
        os.close(reply_write)
    return _Worker(process=process, commands=command_write, replies=reply_read)


def reap(record: Path) -> int:
    """Kill the process groups that a killed coordinator left behind, as its `processes.json` names them; how many."""
    try:
        left = msgspec.json.decode(record.read_bytes(), type=list[Started])
    except (FileNotFoundError, msgspec.DecodeError):
        return 0
    alive = [entry for entry in left if _is_same(entry)]
    for entry in alive:
        _kill_group(entry.pid)
    record.unlink(missing_ok=True)
    return len(alive)


def last_line(path: Path) -> str:
    """The last line of a log that says something, at most 300 characters."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 8192))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return lines[-1][:300] if lines else ""


def _is_same(entry: Started) -> bool:
    try:
        created: float = psutil.Process(entry.pid).create_time()
        return abs(created - entry.started) < 1
    except psutil.Error:
        return False


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _rss_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0
