"""Samples pressure, steal, foreign CPU use, the clock and the canary around each block, and flags disturbed blocks."""

from __future__ import annotations

import contextlib
import math
import re
import statistics
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from autotune.core.results import Canary, Interference
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct
from autotune.hardware import cgroups, energy, kernel_files
from autotune.hardware.energy import Counters
from autotune.launch import process_tree

HISTORY = 5
"""So many canaries tell what is usual before one can be out of place."""

RECENT = 10
"""The number of last canaries that say what is usual: a machine that stays slower is soon as usual."""

LEAST_SHIFT = 0.1
"""A canary that moved by less than this is where it was."""

RESOLUTION_S = 2 * process_tree.TICK_S
"""The kernel counts what is busy in ticks: one more may be seen at each end."""

MAD_TO_SD = 1.4826


class SpeedSensor(Protocol):
    """A sensor of how fast the machine is on some CPUs: the canary's process."""

    failure: str | None
    """Why it senses nothing any more."""

    def sense(self, cpus: Sequence[int], seconds: float) -> Canary | None: ...


class Snapshot(Struct):
    """The machine at one instant: the canary, and counters that only grow (None where they cannot be read)."""

    at_s: float
    canary: Canary | None
    cpu_pressure_s: float | None
    memory_pressure_s: float | None
    steal_ticks: int | None
    all_ticks: int | None
    frequency_mhz: float | None


class Usage(Struct):
    """Seconds of CPU time so far, of all cores of a trial and of our own processes on them, and the energy counters."""

    at_s: float
    busy_s: float | None
    own_s: float
    energy: Counters = {}

    def others(self, later: Usage, cores: int) -> float | None:
        """The share of the cores that other processes surely used from here on; None where the kernel does not tell."""
        if self.busy_s is None or later.busy_s is None or later.at_s <= self.at_s:
            return None
        foreign_s = (later.busy_s - self.busy_s) - (later.own_s - self.own_s) - RESOLUTION_S
        return max(0.0, foreign_s / ((later.at_s - self.at_s) * cores))

    def joules(self, later: Usage, seconds: float) -> float | None:
        """The energy of so many seconds of the time from here on; None where the machine does not tell."""
        used = energy.joules(self.energy, later.energy)
        return None if used is None else used * seconds / (later.at_s - self.at_s)


@dataclass
class InterferenceMonitor:
    """Snapshots of the machine between blocks; one serves as the end of a block and the beginning of the next."""

    cpus: tuple[int, ...]
    sensor: SpeedSensor
    rules: MeasureRules
    root: Path = Path("/")
    last: Snapshot | None = None
    canaries: deque[Canary] = field(default_factory=lambda: deque(maxlen=RECENT))
    frequencies: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def before(self) -> Snapshot:
        """The snapshot before a block: the one after the last block, unless that failed or there was none."""
        snapshot, self.last = self.last or self._snapshot(), None
        return snapshot

    def after(self) -> Snapshot:
        """The snapshot after a block."""
        self.last = self._snapshot()
        return self.last

    def _snapshot(self) -> Snapshot:
        canary = self.sensor.sense(self.cpus, self.rules.canary_s)
        steal, ticks = _ticks(self.root, self.cpus)
        return Snapshot(
            at_s=time.monotonic(),
            canary=canary,
            cpu_pressure_s=_pressure(self.root, "cpu"),
            memory_pressure_s=_pressure(self.root, "memory"),
            steal_ticks=steal,
            all_ticks=ticks,
            frequency_mhz=_frequency(self.root, self.cpus),
        )

    def usage(self, pids: Sequence[int]) -> Usage:
        """The time that the trial's cores were busy so far, and of that with these processes or with ourselves."""
        own_s = process_tree.run_ns(pids) / 1e9 + time.process_time()
        counters = energy.counters(self.root)
        return Usage(at_s=time.monotonic(), busy_s=_busy_s(self.root, self.cpus), own_s=own_s, energy=counters)

    def between(
        self, before: Snapshot, after: Snapshot, others: float | None
    ) -> tuple[Canary | None, Interference, tuple[str, ...]]:
        """A block's canary (the geometric mean of both snapshots), its interference, and what disturbed it."""
        interference = msgspec.structs.replace(_interference(before, after), others=others)
        canary = _middle(before.canary, after.canary)
        usual_mhz = statistics.median(self.frequencies) if self.frequencies else None
        disturbed = disturbances(interference, canary, self.canaries, usual_mhz, self.rules)
        if canary is not None:
            self.canaries.append(canary)
        if interference.frequency_mhz is not None:
            self.frequencies.append(interference.frequency_mhz)
        return canary, interference, disturbed


def disturbances(
    interference: Interference,
    canary: Canary | None,
    earlier: Collection[Canary],
    usual_mhz: float | None,
    rules: MeasureRules,
) -> tuple[str, ...]:
    """The names of what disturbed a block; judged by the machine, never by the block's own rate."""
    disturbed = []
    if (interference.others or 0.0) > rules.disturbed_others:
        disturbed.append("others")
    if (interference.cpu_pressure or 0.0) > rules.disturbed_pressure:
        disturbed.append("cpu_pressure")
    if (interference.memory_pressure or 0.0) > rules.disturbed_pressure:
        disturbed.append("memory_pressure")
    if (interference.steal or 0.0) > rules.disturbed_steal:
        disturbed.append("steal")
    if (
        interference.frequency_mhz is not None
        and usual_mhz
        and interference.frequency_mhz < rules.disturbed_frequency * usual_mhz
    ):
        disturbed.append("frequency")
    if canary is not None and len(earlier) >= HISTORY and _shifted(canary, earlier, rules.disturbed_canary):
        disturbed.append("canary")
    return tuple(disturbed)


def _shifted(canary: Canary, earlier: Collection[Canary], deviations: float) -> bool:
    """True if a part is off its median by so many robust deviations (MAD), and by a tenth."""
    for name, value in canary.parts.items():
        logs = [math.log(before.parts[name]) for before in earlier]
        middle = statistics.median(logs)
        spread = MAD_TO_SD * statistics.median(abs(log - middle) for log in logs)
        if abs(math.log(value) - middle) > max(deviations * spread, LEAST_SHIFT):
            return True
    return False


def _middle(a: Canary | None, b: Canary | None) -> Canary | None:
    if a is None or b is None:
        return None
    parts = {name: math.sqrt(value * b.parts[name]) for name, value in a.parts.items()}
    return Canary(cores=a.cores, **parts)


def _interference(before: Snapshot, after: Snapshot) -> Interference:
    seconds = max(after.at_s - before.at_s, 1e-9)
    steal = None
    if before.steal_ticks is not None and after.steal_ticks is not None:
        ticks = (after.all_ticks or 0) - (before.all_ticks or 0)
        steal = (after.steal_ticks - before.steal_ticks) / ticks if ticks > 0 else 0.0
    return Interference(
        cpu_pressure=_share(before.cpu_pressure_s, after.cpu_pressure_s, seconds),
        memory_pressure=_share(before.memory_pressure_s, after.memory_pressure_s, seconds),
        steal=steal,
        frequency_mhz=after.frequency_mhz,
    )


def _share(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None else max(0.0, (after - before) / seconds)


def _pressure(root: Path, resource: str) -> float | None:
    """Seconds that some task of the machine waited, less those of our own group; None where either is hidden."""
    everybody = _waited_s(root / "proc/pressure" / resource)
    # The root of all groups, which alone has no type, contains everybody: nothing can be told apart there.
    groups = (group for group in cgroups.groups(root) if (group / "cgroup.type").exists())
    waits = (_waited_s(group / f"{resource}.pressure") for group in groups)
    own = next((seconds for seconds in waits if seconds is not None), None)
    return None if everybody is None or own is None else everybody - own


def _waited_s(path: Path) -> float | None:
    found = re.search(r"^some .*total=(\d+)", kernel_files.read(path), re.MULTILINE)
    return int(found[1]) / 1e6 if found else None


def _ticks(root: Path, cpus: Sequence[int]) -> tuple[int | None, int | None]:
    """The stolen and all clock ticks of these CPUs since the machine was started."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    steal = ticks = 0
    found = False
    for line in kernel_files.read(root / "proc/stat").splitlines():
        name, *figures = line.split()
        if name in wanted and len(figures) >= 8:
            found = True
            steal += int(figures[7])
            ticks += sum(map(int, figures[:8]))
    return (steal, ticks) if found else (None, None)


def _busy_s(root: Path, cpus: Sequence[int]) -> float | None:
    """The seconds that these CPUs did anything at all since the machine was started."""
    wanted = {f"cpu{cpu}" for cpu in cpus}
    lines = [line.split() for line in kernel_files.read(root / "proc/stat").splitlines()]
    found = [figures for name, *figures in filter(None, lines) if name in wanted and len(figures) >= 7]
    if not found:
        return None
    user, nice, system, interrupts, soft_interrupts = (sum(int(one[i]) for one in found) for i in (0, 1, 2, 5, 6))
    return (user + nice + system + interrupts + soft_interrupts) * process_tree.TICK_S


def _frequency(root: Path, cpus: Sequence[int]) -> float | None:
    """The mean clock of these CPUs; None where the kernel does not tell (most virtual machines)."""
    found = []
    for cpu in cpus:
        with contextlib.suppress(ValueError):
            text = kernel_files.read(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq")
            found.append(int(text) / 1000)
    return math.fsum(found) / len(found) if found else None
