from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from autotune.core.machine import Hardware
from autotune.core.results import Canary, Interference
from autotune.core.rules import MeasureRules
from autotune.launch.interference import RECENT, InterferenceMonitor
from tests import machines
from tests.launch.scripted import SpeedSensor

RULES = MeasureRules()
OWN = "/sys/fs/cgroup/user.slice/session-1.scope"
ABOVE = "/sys/fs/cgroup/user.slice"


def psi(seconds: float) -> str:
    """The kernel's words for so many seconds in which some task waited."""
    full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=77"
    return f"some avg10=0.12 avg60=0.47 avg300=2.68 total={round(seconds * 1e6)}\n{full}"


def pressed(root: Path, everybody_s: float, own_s: float, *, resource: str = "cpu", group: str = OWN) -> None:
    own = {f"{group}/{resource}.pressure": psi(own_s), f"{group}/cgroup.type": "domain"}
    machines.write(root, {f"/proc/pressure/{resource}": psi(everybody_s), **own})


def ticked(root: Path, **cpus: tuple[int, int, int]) -> None:
    """The user's, idle and stolen ticks of some CPUs; the time of guests, in the end, is part of the user's."""
    lines = [f"{cpu} {user} 0 0 {idle} 0 0 0 {steal} {user} 0" for cpu, (user, idle, steal) in cpus.items()]
    machines.write(root, {"/proc/stat": "\n".join(["cpu  9 9 9 9 9 9 9 9 9 9", *lines, "intr 1 2 3"])})


def clocked(root: Path, **khz: int) -> None:
    folder = "/sys/devices/system/cpu"
    machines.write(root, {f"{folder}/{cpu}/cpufreq/scaling_cur_freq": str(clock) for cpu, clock in khz.items()})


def nothing() -> None: ...


def block(
    monitor: InterferenceMonitor, happens: Callable[[], object] = nothing, others: float | None = None
) -> tuple[Canary | None, Interference, tuple[str, ...]]:
    """The interference of a block of ten seconds during which something happens, `others` on our cores."""
    before = monitor.before()
    happens()
    after = msgspec.structs.replace(monitor.after(), at_s=before.at_s + 10)
    return monitor.between(before, after, Interference(others=others))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A c7i.xlarge with a control group of version 2, and nothing else to tell."""
    return machines.c7i_xlarge(tmp_path)


# -------------------------------------------------------------------------------------------------------- pressure


@pytest.mark.parametrize("resource", ["cpu", "memory"])
@pytest.mark.parametrize("others", [None, 0.03])
def test_pressure_is_our_waiting_beside_others_who_wait(root: Path, resource: str, others: float | None) -> None:
    pressed(root, 100, 40, resource=resource)
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    _, found, disturbed = block(monitor, lambda: pressed(root, 105, 42, resource=resource), others)
    assert getattr(found, f"{resource}_pressure") == pytest.approx(0.2)
    assert disturbed == (f"{resource}_pressure",)


@pytest.mark.parametrize("resource", ["cpu", "memory"])
@pytest.mark.parametrize("others", [None, 0.0])
def test_a_pod_that_waits_elsewhere_is_not_ours(root: Path, resource: str, others: float | None) -> None:
    # throttled by its quota it waits all the time, on cores that we do not use
    pressed(root, 100, 40, resource=resource)
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    _, found, disturbed = block(monitor, lambda: pressed(root, 110, 40, resource=resource), others)
    assert (getattr(found, f"{resource}_pressure"), disturbed) == (pytest.approx(0), ())


def test_our_processes_may_wait_for_each_other_while_others_wait_elsewhere(root: Path) -> None:
    pressed(root, 100, 40)
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    _, found, disturbed = block(monitor, lambda: pressed(root, 109, 43), 0.0)
    assert (found.cpu_pressure, disturbed) == (pytest.approx(0.3), ())


def test_our_own_pressure_closes_no_gate(root: Path) -> None:
    pressed(root, 100, 40)
    _, found, disturbed = block(InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: pressed(root, 109, 49))
    assert (found.cpu_pressure, disturbed) == (pytest.approx(0), ())


def test_our_own_group_may_never_have_waited(root: Path) -> None:
    def waited(others_s: float) -> None:
        machines.write(root, {f"{ABOVE}/memory.pressure": psi(others_s), f"{ABOVE}/cgroup.type": "domain"})
        pressed(root, others_s, 0, resource="memory")

    waited(100)
    _, found, disturbed = block(InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: waited(104))
    assert (found.memory_pressure, disturbed) == (pytest.approx(0), ())  # that of the group above is not ours


def test_the_nearest_group_that_tells_is_ours(root: Path) -> None:
    pressed(root, 100, 40, group=ABOVE)
    _, found, _ = block(
        InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: pressed(root, 105, 41, group=ABOVE)
    )
    assert found.cpu_pressure == pytest.approx(0.1)


def test_more_pressure_of_our_own_than_of_all_is_none_of_others(root: Path) -> None:
    pressed(root, 100, 40)
    _, found, _ = block(InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: pressed(root, 101, 45))
    assert found.cpu_pressure == 0.0


def test_without_a_group_that_tells_pressure_is_not_known(root: Path) -> None:
    machines.write(root, {"/proc/pressure/cpu": psi(100), "/proc/pressure/memory": psi(100)})
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    _, found, disturbed = block(monitor, lambda: machines.write(root, {"/proc/pressure/cpu": psi(110)}))
    assert (found.cpu_pressure, found.memory_pressure, disturbed) == (None, None, ())


def test_a_group_of_version_1_tells_no_pressure(tmp_path: Path) -> None:
    machines.container_v1(tmp_path)
    machines.write(tmp_path, {"/proc/pressure/cpu": psi(100)})
    _, found, disturbed = block(InterferenceMonitor((0,), SpeedSensor(), RULES, tmp_path))
    assert (found.cpu_pressure, disturbed) == (None, ())


@pytest.mark.parametrize("hidden", ["missing", "empty", "another format"])
def test_a_kernel_that_hides_pressure(root: Path, hidden: str) -> None:
    pressed(root, 100, 40)
    path = root / "proc/pressure/cpu"
    if hidden == "missing":
        path.unlink()
    else:
        path.write_text({"empty": "", "another format": "some total=?\n"}[hidden])
    _, found, disturbed = block(InterferenceMonitor((0,), SpeedSensor(), RULES, root))
    assert (found.cpu_pressure, disturbed) == (None, ())


def test_the_root_of_all_groups_holds_the_others_too(root: Path) -> None:
    pressed(root, 100, 100)
    (root / OWN[1:] / "cgroup.type").unlink()  # only the root has none
    _, found, disturbed = block(
        InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: pressed(root, 110, 110, group="/elsewhere")
    )
    assert (found.cpu_pressure, disturbed) == (None, ())


# ---------------------------------------------------------------------------------------------------------- others


def test_others_use_what_is_busy_and_not_ours(root: Path) -> None:
    ticked(root, cpu0=(100, 900, 0), cpu1=(100, 900, 0), cpu2=(0, 0, 0))
    monitor = InterferenceMonitor((0, 1), SpeedSensor(), RULES, root)
    before = msgspec.structs.replace(monitor.usage([]), at_s=10.0, own_s=3.0)
    ticked(root, cpu0=(200, 900, 0), cpu1=(150, 950, 0), cpu2=(99, 0, 0))
    after = msgspec.structs.replace(monitor.usage([]), at_s=11.0, own_s=4.0)
    assert before.others(after, 2) == pytest.approx((1.5 - 1.0 - 0.02) / 2)


def test_nobody_uses_less_than_nothing(root: Path) -> None:
    ticked(root, cpu0=(100, 900, 0))
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    before = msgspec.structs.replace(monitor.usage([]), at_s=10.0)
    assert before.others(msgspec.structs.replace(before, at_s=11.0, own_s=before.own_s + 1), 1) == 0.0


def test_a_kernel_that_does_not_tell_what_is_busy() -> None:
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, Path("/nowhere"))
    before = monitor.usage([])
    assert before.others(msgspec.structs.replace(monitor.usage([]), at_s=before.at_s + 1), 1) is None


def test_a_process_beside_us_is_seen(this_machine: Hardware) -> None:
    monitor = InterferenceMonitor(this_machine.allowed_cpus, SpeedSensor(), RULES)
    before = monitor.usage([])
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        time.sleep(1.0)
        mine, theirs = monitor.usage([other.pid]), monitor.usage([])
        other.kill()
    beside = before.others(theirs, len(monitor.cpus))
    known = before.others(mine, len(monitor.cpus))
    assert beside is not None and known is not None
    assert beside > known


# ----------------------------------------------------------------------------------------------------------- steal


def test_steal_is_a_share_of_our_cpus_ticks(root: Path) -> None:
    ticked(root, cpu0=(100, 100, 5), cpu1=(100, 100, 5), cpu10=(0, 0, 0))
    monitor = InterferenceMonitor((0, 1), SpeedSensor(), RULES, root)
    _, found, disturbed = block(
        monitor, lambda: ticked(root, cpu0=(140, 106, 9), cpu1=(100, 150, 5), cpu10=(0, 0, 500))
    )
    assert found.steal == pytest.approx(0.04)
    assert disturbed == ("steal",)


def test_what_is_stolen_of_other_cpus_closes_no_gate(root: Path) -> None:
    ticked(root, cpu0=(100, 100, 5), cpu1=(100, 100, 5))
    _, found, disturbed = block(
        InterferenceMonitor((0,), SpeedSensor(), RULES, root), lambda: ticked(root, cpu0=(150, 100, 5), cpu1=(0, 0, 99))
    )
    assert (found.steal, disturbed) == (0.0, ())


def test_no_tick_between_two_looks_is_no_steal(root: Path) -> None:
    ticked(root, cpu0=(100, 100, 5))
    assert block(InterferenceMonitor((0,), SpeedSensor(), RULES, root))[1].steal == 0.0


@pytest.mark.parametrize("text", ["", "cpu 1 2 3 4 5 6 7 8 9 10", "cpu0 1 2 3 4"])
def test_steal_that_cannot_be_read_is_not_known(root: Path, text: str) -> None:
    machines.write(root, {"/proc/stat": text})
    _, found, disturbed = block(InterferenceMonitor((0,), SpeedSensor(), RULES, root))
    assert (found.steal, disturbed) == (None, ())


# ------------------------------------------------------------------------------------------------------- frequency


def test_frequency_is_the_mean_of_our_cpus_at_the_end(root: Path) -> None:
    clocked(root, cpu0=1_000_000, cpu1=1_000_000, cpu2=9_000_000)
    monitor = InterferenceMonitor((0, 1, 3), SpeedSensor(), RULES, root)
    _, found, disturbed = block(monitor, lambda: clocked(root, cpu0=3_000_000, cpu1=3_100_000))
    assert found.frequency_mhz == pytest.approx(3050)
    assert disturbed == ()  # nothing is usual yet


def test_a_fall_of_the_frequency(root: Path) -> None:
    clocked(root, cpu0=3_000_000)
    monitor = InterferenceMonitor((0,), SpeedSensor(), RULES, root)
    found = [block(monitor, lambda khz=khz: clocked(root, cpu0=khz))[2] for khz in (3_000_000, 2_710_000, 2_500_000)]
    assert found == [(), (), ("frequency",)]


@pytest.mark.parametrize("text", ["", "<unknown>"])
def test_a_frequency_that_cannot_be_read_is_not_known(root: Path, text: str) -> None:
    machines.write(root, {"/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": text})
    assert block(InterferenceMonitor((0,), SpeedSensor(), RULES, root))[1].frequency_mhz is None


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert block(InterferenceMonitor((0,), SpeedSensor(), RULES, tmp_path)) == (None, Interference(), ())


def test_this_machine() -> None:
    found = block(InterferenceMonitor((0,), SpeedSensor(), RULES))[1]
    for share in (found.cpu_pressure, found.memory_pressure, found.steal):
        assert share is None or 0 <= share <= 1
    assert found.frequency_mhz is None or 100 < found.frequency_mhz < 10_000


# ---------------------------------------------------------------------------------------------------------- canary


def test_a_watch_learns_what_is_usual(tmp_path: Path) -> None:
    # a machine that stays twice as fast after a long calm: it disturbs no more once that is usual
    monitor = InterferenceMonitor((0,), SpeedSensor(*[1.0] * 101, 2.0), RULES, tmp_path)
    found = [block(monitor)[2] for _ in range(100 + RECENT)]
    assert found[:100] == [()] * 100
    assert found[100:104] == [("canary",)] * 4
    assert found[-1] == ()


def test_a_look_serves_twice(tmp_path: Path) -> None:
    sensor = SpeedSensor(1.0, 4.0, 9.0)
    monitor = InterferenceMonitor((0, 1), sensor, RULES, tmp_path)
    first, second = block(monitor)[0], block(monitor)[0]
    assert first is not None and second is not None
    assert (first.compute, second.compute, first.cores) == (pytest.approx(2), pytest.approx(6), 2)
    assert len(sensor.asked) == 3
