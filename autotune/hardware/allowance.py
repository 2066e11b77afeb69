"""The CPUs that this process may use now: cpusets, quotas and affinities change while it runs."""

from __future__ import annotations

from pathlib import Path

from autotune.core.struct import Struct
from autotune.hardware import topology
from autotune.hardware.cgroups import limits


class Allowance(Struct):
    """The CPUs that affinity and cpuset leave to this process, and its quota (in CPUs; None where there is none)."""

    cpus: tuple[int, ...]
    quota: float | None = None


def now(root: Path = Path("/")) -> Allowance:
    """The allowance at this moment of the process that `root`'s /proc/self describes."""
    affinity, bounds = topology.affinity(root, root == Path("/")), limits(root)
    both = set(affinity) & set(bounds.cpus or affinity)
    return Allowance(cpus=tuple(sorted(both or affinity)), quota=bounds.cpu_quota)


def difference(before: Allowance, after: Allowance) -> str | None:
    """What changed, in one clause; None if nothing did."""
    if before.cpus != after.cpus:
        lost, gained = set(before.cpus) - set(after.cpus), set(after.cpus) - set(before.cpus)
        parts = [f"lost {_listed(lost)}" if lost else "", f"gained {_listed(gained)}" if gained else ""]
        return f"the CPUs that this process may use changed: it {' and '.join(filter(None, parts))}"
    if before.quota != after.quota:
        return f"the CPU quota of this process changed from {_quota(before)} to {_quota(after)}"
    return None


def _listed(cpus: set[int]) -> str:
    return f"CPU{'s' if len(cpus) > 1 else ''} {', '.join(map(str, sorted(cpus)))}"


def _quota(found: Allowance) -> str:
    return "none" if found.quota is None else f"{found.quota:g} CPUs"
