"""Little programs in the place of workers: one body of Python a worker, and what becomes of them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core import rules
from autotune.core.config import Placement
from autotune.core.rules import MeasureRules
from autotune.core.space_types import TimeLimits
from autotune.launch import worker_pool
from autotune.launch.launch_plan import LaunchPlan, WorkerPlan
from autotune.launch.orphans import Started
from autotune.launch.patience import Setup
from autotune.launch.worker_pool import WorkerFailed, Workers

ENOUGH = 2**40

PRELUDE = """
import json, os, signal, sys, time
job, rank, commands, replies, parent = sys.argv[1:]
rank, commands, replies = int(rank), os.fdopen(int(commands), "rb"), int(replies)

def say(tag, **fields):
    os.write(replies, json.dumps({"type": tag, **fields}).encode() + b"\\n")

def spawn():
    child = os.fork()
    if child == 0:
        os.close(replies)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
        os._exit(0)
    return child
"""

ANSWERS = """
say("prepared")
for line in commands:
    command = json.loads(line)
    if command["type"] == "finish":
        say("finished", peak_rss_bytes=rank)
        break
    say("measured", items=command["stop_ns"] - command["start_ns"], calls=rank, cpu_ns=0)
"""


def planned(folder: Path, *bodies: str) -> LaunchPlan:
    """Workers that are little programs; one body a worker."""
    entries = []
    for rank, body in enumerate(bodies):
        script = folder / f"worker-{rank}.py"
        script.write_text(PRELUDE + body)
        entries.append(
            WorkerPlan(
                argv=(sys.executable, "-IS", str(script)),
                env={"ONLY": str(rank)},
                placement=Placement(cpus=(0,), threads=1),
            )
        )
    return LaunchPlan(workers=tuple(entries))


def gathered(
    folder: Path,
    *bodies: str,
    timeout_s: float = 20,
    limit: int = ENOUGH,
    deadline: float | None = None,
    setup: Setup | None = None,
):
    """The first replies of such workers."""
    with worker_pool.start(planned(folder, *bodies), folder / "job.json", folder, limit, deadline) as workers:
        return workers.gather(timeout_s if setup is None else setup.total_s, "testing", setup)


def setup(say: Callable[[str], None] = print, **limits: float) -> Setup:
    """The limits of workers whose user's code builds `a model`."""
    return Setup("a model", "setup_s", rules.within(MeasureRules(), TimeLimits(**limits)), say)


def failure(folder: Path, *bodies: str, **limits: Any) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as caught:
        gathered(folder, *bodies, **limits)
    return caught.value


def wait_for_reply(workers: Workers, rank: int) -> None:
    assert select.select([workers.workers[rank].replies], [], [], 20)[0]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def grandchild(folder: Path) -> int:
    """The process that a worker started, by what it printed."""
    while not (text := (folder / "stdout.log").read_text()).endswith("\n"):
        time.sleep(0.02)
    return int(text)


COORDINATOR = """
import sys, time
from pathlib import Path
import msgspec
from autotune.launch import worker_pool
from autotune.launch.launch_plan import LaunchPlan
plan = msgspec.json.decode(sys.argv[1], type=LaunchPlan)
folder = Path(sys.argv[2])
with worker_pool.start(plan, folder / "job.json", folder, 2**40) as workers:
    workers.gather(20, "starting")
    print("started", flush=True)
    time.sleep(60)
"""


def killed_coordinator(folder: Path, *bodies: str) -> list[Started]:
    """The workers of a coordinator that was killed once they had answered."""
    asked = [sys.executable, "-c", COORDINATOR, msgspec.json.encode(planned(folder, *bodies)), str(folder)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as coordinator:
        assert coordinator.stdout is not None
        assert coordinator.stdout.readline() == b"started\n"
        coordinator.kill()
    assert coordinator.returncode == -signal.SIGKILL
    return msgspec.json.decode((folder / "processes.json").read_bytes(), type=list[Started])
