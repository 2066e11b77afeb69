"""The limits that control groups set to this process: CPU quota, CPUs and memory, of version 1, 2 or both mixed.

A limit may be set on any group between our own and the root of the hierarchy; the tightest one holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from autotune.core.struct import Struct
from autotune.hardware.kernel_files import cpu_list, read

# Version 1 writes "no limit" as the largest page-aligned 63-bit number, which depends on the page size.
UNLIMITED_BYTES = 2**60


class Limits(Struct):
    """The tightest limits in force; None where there is none. `cpu_quota` is in CPUs (1.5 = one and a half)."""

    cpu_quota: float | None = None
    cpus: frozenset[int] | None = None
    memory_bytes: int | None = None


def limits(root: Path = Path("/")) -> Limits:
    """The limits of the process that `root`'s /proc/self describes; what cannot be read does not limit."""
    quotas: list[float] = []
    memory: list[int] = []
    sets: list[frozenset[int]] = []
    for group in groups(root):
        quotas += _quota(group)
        memory += [size for name in ("memory.max", "memory.limit_in_bytes") for size in _numbers(group / name)]
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"):
            if cpus := cpu_list(read(group / name)):
                sets.append(frozenset(cpus))
                break
    return Limits(
        cpu_quota=min(quotas, default=None),
        cpus=frozenset.intersection(*sets) if sets else None,
        memory_bytes=min((size for size in memory if size < UNLIMITED_BYTES), default=None),
    )


def oom_kills(root: Path = Path("/")) -> int | None:
    """The processes of our control groups that the kernel has killed for lack of memory; None where nothing counts.

    Without such a group, those of the whole system.
    """
    files = [group / name for group in groups(root) for name in ("memory.events", "memory.oom_control")]
    for path in (*files, root / "proc/vmstat"):
        if found := re.search(r"^oom_kill ([0-9]+)$", read(path), re.MULTILINE):
            return int(found[1])
    return None


class Throttling(Struct):
    """What a CPU quota has withheld so far: the periods that it was used up in, the seconds of all CPUs together."""

    periods: int
    seconds: float


def throttling(root: Path = Path("/")) -> Throttling | None:
    """What our own groups and those above counted together; None where none counts."""
    stats = [dict(_counters(group / "cpu.stat")) for group in groups(root)]
    counted = [stat for stat in stats if "nr_throttled" in stat]
    if not counted:
        return None
    # version 2 counts microseconds, version 1 nanoseconds
    seconds = sum(stat.get("throttled_usec", 0) / 1e6 + stat.get("throttled_time", 0) / 1e9 for stat in counted)
    return Throttling(periods=sum(stat["nr_throttled"] for stat in counted), seconds=seconds)


def waited_s(root: Path, resource: str) -> float | None:
    """Seconds that some task of the nearest group that tells waited for a resource so far; None where none tells.

    The root of all groups, which alone has no type, contains everybody: it tells nothing of us.
    """
    typed = (group for group in groups(root) if (group / "cgroup.type").exists())
    waits = (pressure_s(group / f"{resource}.pressure") for group in typed)
    return next((seconds for seconds in waits if seconds is not None), None)


def pressure_s(path: Path) -> float | None:
    """The seconds that some task waited so far, by a file of the kernel's pressure stall information."""
    found = re.search(r"^some .*total=(\d+)", read(path), re.MULTILINE)
    return int(found[1]) / 1e6 if found else None


def groups(root: Path) -> Iterator[Path]:
    """The folders of our own control groups and of all that contain them, in every hierarchy that is mounted."""
    ours: dict[str, PurePosixPath] = {}
    for line in read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for controller in controllers.split(","):
            ours[controller] = PurePosixPath(path)
    for controllers_of_mount, mounted, folder in _mounts(root):
        for controller in controllers_of_mount:
            if controller in ours:
                # A container may see only its own part of the hierarchy: `mounted` is the group at the mount point.
                # A path outside it (another namespace) leaves just the mount point to look at.
                group = ours[controller]
                inside = group.relative_to(mounted) if group.is_relative_to(mounted) else PurePosixPath()
                below = [] if ".." in inside.parts else [folder / part for part in (inside, *inside.parents)]
                yield from dict.fromkeys([*below, folder])
                break


def _mounts(root: Path) -> Iterator[tuple[tuple[str, ...], PurePosixPath, Path]]:
    """Each cgroup mount: its controllers (version 2: an empty name), the group at its root, its folder in `root`."""
    for line in read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        controllers = ("",) if kind[0] == "cgroup2" else tuple(kind[2].split(","))
        yield controllers, PurePosixPath(fields[3]), root / fields[4].lstrip("/")


def _quota(group: Path) -> list[float]:
    """CPUs per period that a group may use, of version 2 (`cpu.max`) and 1 (`cpu.cfs_quota_us`, -1 for no limit)."""
    pairs = [read(group / "cpu.max").split(), [read(group / f"cpu.cfs_{part}_us") for part in ("quota", "period")]]
    return [
        int(pair[0]) / int(pair[1])
        for pair in pairs
        if len(pair) == 2 and all(figure.isdecimal() and int(figure) > 0 for figure in pair)
    ]


def _counters(path: Path) -> Iterator[tuple[str, int]]:
    """The lines `name number` of a file."""
    for line in read(path).splitlines():
        name, _, figure = line.partition(" ")
        if figure.isdecimal():
            yield name, int(figure)


def _numbers(path: Path) -> list[int]:
    """The number in a file, as a list of one; an empty list for `max`, nothing, or anything else."""
    text = read(path)
    return [int(text)] if text.isdecimal() else []
