"""A CPU quota: what it withholds is counted in a block, disturbs it unless the layout exceeds it, and is flagged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Interference
from autotune.core.rules import MeasureRules
from autotune.launch import quota
from autotune.launch.interference import InterferenceMonitor, disturbances
from tests import machines
from tests.launch.scripted import SpeedSensor
from tests.report.made import config

RULES = MeasureRules()
HW = machines.hardware(4, quota=1.5)
CPU_CONTROLLER = Path("/sys/fs/cgroup/cpu")


def throttled(root: Path, periods: int, usec: int) -> None:
    machines.write(root, {"/sys/fs/cgroup/pod/cpu.stat": f"nr_throttled {periods}\nthrottled_usec {usec}\n"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine that tells nothing but the counters of our group."""
    told = {"/proc/self/cgroup": "0::/pod\n", "/proc/self/mountinfo": machines.CGROUP2_MOUNT.format(mounted="/")}
    throttled(machines.write(tmp_path, told), 10, 1_000_000)
    return tmp_path


def test_what_a_quota_withholds_is_a_share_of_the_cores(root: Path) -> None:
    monitor = InterferenceMonitor((0, 1), SpeedSensor(), RULES, root)
    before = msgspec.structs.replace(monitor.usage([]), at_s=10.0)
    throttled(root, 14, 1_400_000)
    after = msgspec.structs.replace(monitor.usage([]), at_s=11.0)
    assert before.throttled(after, 2) == (pytest.approx(0.2), 4)
    assert before.throttled(before, 2) == (None, None)


def test_without_a_counter_nothing_is_known(tmp_path: Path) -> None:
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, tmp_path)
    before = monitor.usage([])
    assert before.throttled(msgspec.structs.replace(monitor.usage([]), at_s=before.at_s + 1), 1) == (None, None)


def test_a_quota_that_others_used_up_disturbs_and_one_that_the_layout_exceeds_does_not(root: Path) -> None:
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    used = Interference(throttled=0.2, throttled_periods=4)
    for over_quota, names in ((False, ("throttled",)), (True, ())):
        _, found, disturbed = monitor.between(monitor.before(), monitor.after(), used, over_quota=over_quota)
        assert (found.throttled, found.throttled_periods, disturbed) == (0.2, 4, names)
    assert disturbances(Interference(throttled=RULES.disturbed_throttled), None, [], None, RULES) == ()


@pytest.mark.parametrize(("layout", "flags"), [("1x1", ()), ("1x2", ("2",)), ("2x1", ("2",))])
def test_a_layout_over_the_quota_is_flagged(layout: str, flags: tuple[str, ...]) -> None:
    found = config("torch_eager", layout=layout)
    said = tuple(f"over_quota: {threads} threads share a quota of 1.5 CPUs" for threads in flags)
    assert quota.flags(found, HW) == said
    assert quota.exceeded(found, HW) is bool(said)
    assert quota.flags(found, msgspec.structs.replace(HW, cpu_quota=2.0)) == ()
    assert quota.flags(found, msgspec.structs.replace(HW, cpu_quota=None)) == ()


# ------------------------------------------------------------------------------------------------- a real quota


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group (version 1) with a quota of a tenth of a CPU; skipped where none can be made."""
    folder = CPU_CONTROLLER / f"autotune-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "cpu.cfs_quota_us").write_text("10000")
    except OSError as error:
        if folder.exists():
            folder.rmdir()
        pytest.skip(f"no control group can be made here: {error}")
    yield folder
    for _ in range(50):  # until what ran in it is gone
        try:
            folder.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return


USE = """
import os, pathlib, sys, time
from autotune.hardware import cgroups
from autotune.launch.interference import InterferenceMonitor
from autotune.core.rules import MeasureRules
from tests.launch.scripted import SpeedSensor
pathlib.Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
monitor = InterferenceMonitor((0,), SpeedSensor(), MeasureRules())
before, end, periods = monitor.usage([]), time.monotonic() + 30, 0
while periods < 5 and time.monotonic() < end:
    time.sleep(0.001)
    sum(range(100_000))
    share, periods = before.throttled(monitor.usage([]), 1)
print(cgroups.limits().cpu_quota, share, periods)
"""


@pytest.mark.slow
def test_a_real_quota_is_seen_and_what_it_withholds_is_counted(group: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", USE, str(group)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    limit, share, periods = map(float, done.stdout.split())
    assert limit == 0.1
    assert share > 0 and periods >= 5
