"""The resources of a process and all that it started: memory now, CPU time so far, and whether that still grows."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

IDLE_SHARE = 0.01
"""Trees that use no more than this share of a core do nothing."""

LONGEST_LOOK_S = 2.0
"""More than this between two looks does not count: then the whole machine, or this process, stood still."""

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """One line of /proc/PID/stat; the CPU time includes that of children which ended and were waited for."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu_s: float
    waited_s: float
    """Of this, the time of those children."""


def processes() -> list[Process]:
    """Every process of this machine, zombies too."""
    found = (_process(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for process in found if process is not None]


def trees(roots: Sequence[int]) -> list[list[Process]]:
    """For each root: itself, its session, and all that descends from these."""
    everything = processes()
    children: dict[int, list[Process]] = defaultdict(list)
    sessions: dict[int, list[Process]] = defaultdict(list)
    for process in everything:
        children[process.parent].append(process)
        sessions[process.session].append(process)
    own = {process.pid: process for process in everything}
    found = []
    for root in roots:
        left = [*sessions[root], *([own[root]] if root in own else [])]
        tree: dict[int, Process] = {}
        while left:
            process = left.pop()
            if process.pid not in tree:
                tree[process.pid] = process
                left += children[process.pid]
        found.append(list(tree.values()))
    return found


def kill(root: int) -> None:
    """Kill a process with its session and all that descends from these, whatever sessions of their own they made.

    The root goes last: until then what loses its parent can come to it, and is found. A new process may start during a
    look, so one follows the other until nothing new is there.
    """
    _signal(root, signal.SIGSTOP)
    killed: set[int] = set()
    while fresh := {process.pid for process in trees([root])[0] if process.state not in "ZX"} - killed - {root}:
        for pid in fresh:
            _signal(pid, signal.SIGKILL)
        killed |= fresh
    _signal(root, signal.SIGKILL)


def memory_bytes(tree: Iterable[Process]) -> int:
    """The memory that only these processes keep: pages of files do not count, the kernel can drop them.

    Pages that they share, as forks do, count once for each of them.
    """
    return sum(_kept_bytes(f"/proc/{process.pid}/status", b"RssAnon:", b"RssShmem:") for process in tree)


def proportional_bytes(tree: Iterable[Process]) -> int:
    """The same, but what processes share is divided among them; it takes the kernel a walk over all their pages."""
    return sum(_kept_bytes(f"/proc/{process.pid}/smaps_rollup", b"Pss_Anon:", b"Pss_Shmem:") for process in tree)


def cpu_s(tree: Iterable[Process]) -> float:
    """CPU time so far; it falls when a process ends that nobody of the tree waits for."""
    return sum(process.cpu_s for process in tree)


def run_ns(roots: Sequence[int]) -> int:
    """The nanoseconds that these processes and their children have run.

    By the scheduler, and to a tick or two for children that ended and were waited for.
    """
    left, total = list(roots), 0
    while left:
        pid = left.pop()
        process = _process(str(pid))
        total += _run_ns(pid) + (round(process.waited_s * 1e9) if process is not None else 0)
        left += _children(pid)
    return total


@dataclass
class Activity:
    """Tells whether any of several trees still works, by looks at their CPU times."""

    idle_s: float
    _watched_s: float = 0.0
    _last: float | None = None
    _before: dict[int, float] = field(default_factory=dict)
    _worked: dict[int, float] = field(default_factory=dict)
    _looks: deque[tuple[float, dict[int, float]]] = field(default_factory=deque)

    def idle(self, now: float, used: dict[int, float]) -> bool:
        """Take a look (CPU time by tree); true if no tree worked for the last `idle_s` seconds.

        What a tree did before it answered counts as well: another may have waited for just that.
        """
        if self._last is not None:
            self._watched_s += min(now - self._last, LONGEST_LOOK_S)
        self._last = now
        for key, total in used.items():
            self._worked[key] = self._worked.get(key, 0.0) + max(0.0, total - self._before.get(key, total))
        self._before = used
        self._looks.append((self._watched_s, dict(self._worked)))
        while len(self._looks) > 1 and self._looks[1][0] <= self._watched_s - self.idle_s:
            self._looks.popleft()
        begin, worked = self._looks[0]
        span = self._watched_s - begin
        return span >= self.idle_s and all(
            total - worked.get(key, 0.0) <= IDLE_SHARE * span for key, total in self._worked.items()
        )


def _process(name: str) -> Process | None:
    try:
        with open(f"/proc/{name}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:  # it ended meanwhile
        return None
    return Process(
        pid=int(name),
        state=fields[0].decode(),
        parent=int(fields[1]),
        group=int(fields[2]),
        session=int(fields[3]),
        cpu_s=sum(map(int, fields[11:15])) * TICK_S,
        waited_s=sum(map(int, fields[13:15])) * TICK_S,
    )


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, or another user's by now
        os.kill(pid, number)


def _kept_bytes(path: str, *names: bytes) -> int:
    """The sum of these lines; 0 for a process that is gone."""
    try:
        with open(path, "rb") as file:
            lines = [line.split() for line in file]
    except OSError:
        return 0
    return sum(int(line[1]) * 1024 for line in lines if line and line[0] in names)


def _run_ns(pid: int) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/schedstat", "rb") as file:
                total += int(file.read().split()[0])
    return total


def _children(pid: int) -> list[int]:
    """The living children of a process, without a look at every other process; none where the kernel hides them."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
        return [int(child) for child in file.read().split()]
    return []
