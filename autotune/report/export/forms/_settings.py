"""The contents that all forms share: a configuration's variables, its CPUs, and the notes above them."""

from __future__ import annotations

import re

from autotune.core.best import Best, Claim
from autotune.core.config import Placement
from autotune.core.errors import StudyError
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import OWN
from autotune.launch import environment
from autotune.report.text import formatting

CACHE = "/var/cache/autotune"
"""The folder that takes the place of `{cache}` where a form has no variable for it."""


def variables(best: Best, cache: str = CACHE) -> dict[str, str]:
    """The variables of every worker, LD_PRELOAD among them."""
    return environment.apply(LaunchPatch(env=best.environment, preload=best.preload), {}, cache)


def one_line(best: Best, form: str) -> dict[str, str]:
    """The same for a form whose values end with the line; StudyError names one that does not fit."""
    found = variables(best)
    for name, value in found.items():
        if len(f".{value}.".splitlines()) > 1:
            raise StudyError(
                f"environment.{name} has a line break, which {form} cannot hold; use shell, systemd or kubernetes"
            )
    return found


def unset(best: Best) -> list[str]:
    """The variables that must not be there."""
    return sorted(name for name, value in best.environment.items() if value is None)


def cached(best: Best) -> bool:
    """True if a variable names the cache folder."""
    return any("{cache}" in (value or "") for value in best.environment.values())


def cpus(place: Placement) -> str:
    """`0,2`, as taskset and cpusets have it."""
    return ",".join(map(str, place.cpus))


def nodes(best: Best, place: Placement) -> str:
    """The NUMA nodes of a worker's CPUs on the tuned machine: `0` or `0,1`."""
    return environment.prefix(("{node}",), place, best.hardware)[0]


def prefix(best: Best, place: Placement) -> tuple[str, ...]:
    """The words before a worker's program, for the tuned machine's NUMA nodes."""
    return environment.prefix(best.argv_prefix, place, best.hardware)


def label(best: Best) -> str:
    """The model's name in the letters that every server and cluster allows, at most 40."""
    plain = re.sub(r"[^a-z0-9]+", "-", best.workload.name.lower()).strip("-")[:40].strip("-")
    return plain or "model"


def printable(text: str) -> str:
    """A text as a comment can show it: one line, whatever it holds."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def comment(*lines: str) -> list[str]:
    """Lines that begin with `#`."""
    return [f"# {printable(line)}" for line in lines]


def _times(claim: Claim) -> str:
    interval = "" if claim.low is None or claim.high is None else f" ({claim.low:.2f} to {claim.high:.2f})"
    return f"{claim.estimate:.2f}{interval} times"


def _basis(best: Best) -> str:
    """The runs behind the speed-up, and whether they are enough for a claim."""
    speedup = best.measured.speedup
    runs, indirect = (None, False) if speedup is None else (speedup.runs, speedup.indirect)
    if best.confirmed:
        way = ", by way of another configuration" if indirect else ""
        return f"confirmed in {formatting.number(runs, 'interleaved run')}{way}" if runs else "confirmed"
    basis = formatting.number(runs, "interleaved run") if runs else "the search alone"
    return f"from {basis}: not confirmed"


def heading(best: Best, cache: str = CACHE) -> list[str]:
    """Comment lines: what this is, where it was measured, what must be there; `cache` as the form names that folder."""
    config, speedup = best.config, best.measured.speedup
    versions = ", ".join(f"{name} {version}" for name, version in best.versions.items())
    said = [
        f"{best.workload.model} on {config.backend}, batches of {config.workload.batch_size}, {config.layout} "
        f"(workers x threads); {'' if speedup is None else f'{_times(speedup)} the baseline, '}{_basis(best)}",
        f"tuned on {best.hardware.cpu_model} ({best.hardware.instance_type}) with {versions or 'unknown versions'}",
    ]
    if config.interpreter != OWN:
        said.append(f"measured in the Python environment {config.interpreter!r}: start that one's Python")
    if best.preload:
        said.append(f"LD_PRELOAD: these must be where the program runs, or it runs without: {' '.join(best.preload)}")
    if cached(best):
        said.append(f"{cache} is autotune's cache folder: it must be writable, and be kept")
    return comment(*said)
