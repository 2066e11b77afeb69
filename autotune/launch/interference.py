"""Samples pressure, steal, foreign CPU use, the clock and the canary around each block, and flags disturbed blocks."""

from __future__ import annotations

import contextlib
import math
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
from autotune.hardware.cgroups import Throttling
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


class Waits(Struct):
    """Seconds so far in which some task waited: outside our own control group, and in it."""

    outside_s: float
    own_s: float


class Snapshot(Struct):
    """The machine at one instant: the canary, and counters that only grow (None where they cannot be read)."""

    at_s: float
    canary: Canary | None
    cpu_waits: Waits | None
    memory_waits: Waits | None
    steal_ticks: int | None
    all_ticks: int | None
    frequency_mhz: float | None


class Usage(Struct):
    """Seconds of CPU time so far, of all cores of a trial and of our own processes on them; what a quota has withheld;
    and the energy counters.
    """

    at_s: float
    busy_s: float | None
    own_s: float
    throttling: Throttling | None = None
    energy: Counters = {}

    def others(self, later: Usage, cores: int) -> float | None:
        """The share of the cores that other processes surely used from here on; None where the kernel does not tell."""
        if self.busy_s is None or later.busy_s is None or later.at_s <= self.at_s:
            return None
        foreign_s = (later.busy_s - self.busy_s) - (later.own_s - self.own_s) - RESOLUTION_S
        return max(0.0, foreign_s / ((later.at_s - self.at_s) * cores))

    def throttled(self, later: Usage, cores: int) -> tuple[float | None, int | None]:
        """The share of the cores' time that a CPU quota withheld from here on, and its periods that were used up.

        None where nothing counts them.
        """
        if self.throttling is None or later.throttling is None or later.at_s <= self.at_s:
            return None, None
        withheld_s = later.throttling.seconds - self.throttling.seconds
        return withheld_s / ((later.at_s - self.at_s) * cores), later.throttling.periods - self.throttling.periods

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
            cpu_waits=_waits(self.root, "cpu"),
            memory_waits=_waits(self.root, "memory"),
            steal_ticks=steal,
            all_ticks=ticks,
            frequency_mhz=_frequency(self.root, self.cpus),
        )

    def usage(self, pids: Sequence[int]) -> Usage:
        """The time that the trial's cores were busy so far, and of that with these processes or with ourselves."""
        own_s = process_tree.run_ns(pids) / 1e9 + time.process_time()
        return Usage(
            at_s=time.monotonic(),
            busy_s=_busy_s(self.root, self.cpus),
            own_s=own_s,
            throttling=cgroups.throttling(self.root),
            energy=energy.counters(self.root),
        )

    def between(
        self, before: Snapshot, after: Snapshot, used: Interference, *, over_quota: bool = False
    ) -> tuple[Canary | None, Interference, tuple[str, ...]]:
        """A block's canary (the geometric mean of both snapshots), its interference, and what disturbed it.

        `used` is what is known of the block alone. A layout `over_quota` is throttled by its own doing.
        """
        interference = _interference(before, after, used)
        canary = _middle(before.canary, after.canary)
        usual_mhz = statistics.median(self.frequencies) if self.frequencies else None
        disturbed = disturbances(interference, canary, self.canaries, usual_mhz, self.rules, over_quota=over_quota)
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
    *,
    over_quota: bool = False,
) -> tuple[str, ...]:
    """The names of what disturbed a block; judged by the machine, never by the block's own rate."""
    disturbed = []
    if (interference.others or 0.0) > rules.disturbed_others:
        disturbed.append("others")
    # nobody else on our cores: our processes waited for each other
    if (interference.cpu_pressure or 0.0) > rules.disturbed_pressure and interference.others != 0.0:
        disturbed.append("cpu_pressure")
    if (interference.memory_pressure or 0.0) > rules.disturbed_pressure:
        disturbed.append("memory_pressure")
    if (interference.steal or 0.0) > rules.disturbed_steal:
        disturbed.append("steal")
    if (interference.throttled or 0.0) > rules.disturbed_throttled and not over_quota:
        disturbed.append("throttled")
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


def _interference(before: Snapshot, after: Snapshot, used: Interference) -> Interference:
    seconds = max(after.at_s - before.at_s, 1e-9)
    steal = None
    if before.steal_ticks is not None and after.steal_ticks is not None:
        ticks = (after.all_ticks or 0) - (before.all_ticks or 0)
        steal = (after.steal_ticks - before.steal_ticks) / ticks if ticks > 0 else 0.0
    return msgspec.structs.replace(
        used,
        cpu_pressure=_waited(before.cpu_waits, after.cpu_waits, seconds),
        memory_pressure=_waited(before.memory_waits, after.memory_waits, seconds),
        steal=steal,
        frequency_mhz=after.frequency_mhz,
    )


def _waited(before: Waits | None, after: Waits | None, seconds: float) -> float | None:
    """The share of the time that our own group waited while others did, at most; None where either is hidden."""
    if before is None or after is None:
        return None
    waited_s = min(after.outside_s - before.outside_s, after.own_s - before.own_s)
    return max(0.0, waited_s / seconds)


def _waits(root: Path, resource: str) -> Waits | None:
    everybody = cgroups.pressure_s(root / "proc/pressure" / resource)
    own = cgroups.waited_s(root, resource)
    return None if everybody is None or own is None else Waits(outside_s=everybody - own, own_s=own)


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
