"""Workers orphaned by a killed coordinator: recorded in `processes.json` while they run, and killed by the next one."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from autotune.core.files import write_atomically
from autotune.core.struct import Struct
from autotune.launch import process_tree


class Started(Struct):
    """One line of `processes.json`: enough to recognise a process after its coordinator died."""

    pid: int
    started: float


def note(record: Path, pids: Sequence[int]) -> None:
    """Record the processes that run, each the leader of a group of its own."""
    started = [Started(pid=pid, started=psutil.Process(pid).create_time()) for pid in pids]
    write_atomically(record, msgspec.json.encode(started))


def kill(record: Path) -> int:
    """Kill the orphaned workers in a `processes.json`, and delete it; returns the number of processes killed."""
    try:
        left = msgspec.json.decode(record.read_bytes(), type=list[Started])
    except (FileNotFoundError, msgspec.DecodeError):
        return 0
    killed = 0
    for entry in left:
        if group := _left_of(entry):
            signal_group(entry.pid, signal.SIGKILL)
            killed += len(group)
    record.unlink(missing_ok=True)
    return killed


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a whole process group; one that is gone is left alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _left_of(entry: Started) -> list[int]:
    """The living processes of a worker's group, which may outlive it; none where its number went to another process.

    Linux gives no number away that a group still bears: if another process has it, nothing is left of ours.
    """
    if entry.pid in (0, 1, os.getpgrp()):
        return []
    boot, leader = _started(1), _started(entry.pid)
    if boot is not None and entry.started < boot - 1:  # before this machine or container was started
        return []
    if leader is not None and abs(leader - entry.started) >= 1:
        return []
    group = [p.pid for p in process_tree.processes() if p.group == p.session == entry.pid and p.state not in "ZX"]
    starts = {pid: started for pid in group if (started := _started(pid)) is not None}
    return list(starts) if all(started >= entry.started - 1 for started in starts.values()) else []


def _started(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
