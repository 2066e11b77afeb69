"""The machines that come with autotune, and those of a `hardware.json`."""

from __future__ import annotations

from pathlib import Path

from autotune import hardware
from autotune.core.errors import MachineError, did_you_mean
from autotune.core.machine import Hardware
from autotune.study.storage import store

MACHINES = Path(hardware.__file__).parent / "machines"


def recorded() -> dict[str, Path]:
    """The machines that come with autotune, by name."""
    return {path.stem: path for path in sorted(MACHINES.glob("*.json"))}


def find(name: str) -> Hardware:
    """The machine of a file, such as a study's `hardware.json`, or a recorded one; MachineError or StudyError."""
    path, known = Path(name), recorded()
    if not path.exists() or path.is_dir():
        wanted = name.removesuffix(".json")
        if wanted not in known:
            near = did_you_mean(wanted, known).replace("allowed", "recorded")
            raise MachineError(f"no hardware {name!r}, neither a file nor a recorded machine{near}")
        path = known[wanted]
    hw = store.decode(path, Hardware, f"give the hardware.json of a study, or one of {', '.join(known)}")
    if not hw.cores:
        raise MachineError(f"{path} has no usable CPU: none of its allowed_cpus is among its cpus")
    return hw
