"""Which CPUs there are, how they share cores, sockets and NUMA nodes, and which of them this process may use."""

from __future__ import annotations

import os
import re
from pathlib import Path

from autotune.core.machine import Cpu
from autotune.hardware.kernel_files import cpu_list, read

Info = dict[str, str]


def cpuinfo(root: Path) -> list[Info]:
    """/proc/cpuinfo as one dictionary for each logical CPU."""
    processors: list[Info] = []
    for line in read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "processor":
            processors.append({})
        if processors:
            processors[-1].setdefault(key.strip(), value.strip())
    return processors


def integer(text: str, otherwise: int) -> int:
    """A decimal or 0x number; `otherwise` for anything else."""
    try:
        return int(text, 0)
    except ValueError:
        return otherwise


def cpus(root: Path, processors: list[Info], affinity: tuple[int, ...]) -> tuple[Cpu, ...]:
    """All CPUs that are online, with cores numbered from 0 over the whole machine, socket by socket."""
    by_id = {integer(info.get("processor", ""), index): info for index, info in enumerate(processors)}
    online = cpu_list(read(root / "sys/devices/system/cpu/online")) or tuple(sorted(by_id)) or affinity or (0,)
    nodes = _nodes(root)
    sockets: dict[int, int] = {}
    groups: dict[tuple[int, ...], list[int]] = {}
    for cpu in online:
        socket, core, siblings = _place(root, cpu, by_id.get(cpu, {}))
        sockets[cpu] = socket
        # The kernel's own list of siblings is the truth; a core_id may repeat in another socket or die.
        groups.setdefault((socket, core, *siblings), []).append(cpu)
    numbers = {cpu: number for number, key in enumerate(sorted(groups)) for cpu in groups[key]}
    return tuple(Cpu(id=cpu, core=numbers[cpu], socket=sockets[cpu], node=nodes.get(cpu, 0)) for cpu in sorted(online))


def _place(root: Path, cpu: int, info: Info) -> tuple[int, int, tuple[int, ...]]:
    """A CPU's socket, core id within it, and the CPUs of its core (empty where sysfs does not say)."""
    folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
    socket = integer(read(folder / "physical_package_id") or info.get("physical id", ""), 0)
    core = integer(read(folder / "core_id") or info.get("core id", ""), -1)
    siblings = cpu_list(read(folder / "thread_siblings_list"))
    # Where nothing tells cores apart (core_id is missing or -1), each CPU is one.
    alone = core < 0 and not siblings
    return max(socket, 0), core, (cpu,) if alone else siblings


def _nodes(root: Path) -> dict[int, int]:
    """CPU -> NUMA node; empty where the kernel knows none."""
    folders = (root / "sys/devices/system/node").glob("node[0-9]*")
    return {cpu: integer(folder.name[4:], 0) for folder in folders for cpu in cpu_list(read(folder / "cpulist"))}


def affinity(root: Path, live: bool) -> tuple[int, ...]:
    """The CPUs that the process may run on; empty where nothing says so."""
    if live:
        return tuple(sorted(os.sched_getaffinity(0)))
    listed = re.search(r"^Cpus_allowed_list:\s*(\S+)", read(root / "proc/self/status"), re.MULTILINE)
    return cpu_list(listed[1]) if listed else ()


def allowed(cpus: tuple[Cpu, ...], affinity: tuple[int, ...], cpuset: frozenset[int] | None) -> tuple[int, ...]:
    """The online CPUs that both the affinity and the cpuset allow; one that would leave none is not believed."""
    remaining = {cpu.id for cpu in cpus}
    for bound in (affinity, cpuset):
        remaining = remaining & set(bound or ()) or remaining
    return tuple(sorted(remaining))
