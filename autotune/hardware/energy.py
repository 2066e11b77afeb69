"""The energy of all CPU packages, from the kernel's RAPL counters; most virtual machines and containers have none."""

from __future__ import annotations

from pathlib import Path

from autotune.core.struct import Struct
from autotune.hardware.kernel_files import read

ZONES = "sys/class/powercap/intel-rapl:*"
"""The zones of the machine and their parts (`intel-rapl:0:0`); AMD's processors have the same names."""

PACKAGE = "package"
"""The name of a package's zone in its file `name`; `psys`, which stands beside them, holds all packages and more."""


class Counter(Struct):
    """Microjoules so far of one package; after `range_uj` it begins again at 0."""

    uj: int
    range_uj: int


Counters = dict[str, Counter]


def counters(root: Path) -> Counters:
    """The counters that can be read, by the package's zone; none without RAPL or the right to read it."""
    zones = (path for path in sorted(root.glob(ZONES)) if read(path / "name").startswith(PACKAGE))
    texts = {path.name: (read(path / "energy_uj"), read(path / "max_energy_range_uj")) for path in zones}
    found = {name: (used.strip(), most.strip()) for name, (used, most) in texts.items()}
    return {
        name: Counter(uj=int(used), range_uj=int(most))
        for name, (used, most) in found.items()
        if used.isdecimal() and most.isdecimal()
    }


def joules(before: Counters, after: Counters) -> float | None:
    """The energy of all packages in between; None where nothing can be read, or not the same packages."""
    if not before or before.keys() != after.keys():
        return None
    used = ((after[name].uj - before[name].uj) % (before[name].range_uj + 1) for name in before)
    return sum(used) / 1e6
