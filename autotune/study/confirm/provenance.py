"""The machine and the package versions that interleaved runs were made with: only equal ones are pooled in a claim."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.core.machine import OWN, Hardware
from autotune.core.results import Candidate, InterleavedRun


def difference(run: InterleavedRun, hw: Hardware) -> str | None:
    """The first thing in which a run was not made as one is made today; None if there is none."""
    if run.fingerprint != hw.fingerprint:
        return "made on another type of machine"
    return next(filter(None, (_other_version(candidate, hw) for candidate in run.candidates.values())), None)


def comparable(runs: Sequence[InterleavedRun], hw: Hardware) -> tuple[list[InterleavedRun], str | None]:
    """The runs that were made as one is made today, and a line that says how many were not, and why."""
    reasons = [difference(run, hw) for run in runs]
    same = [run for run, reason in zip(runs, reasons, strict=True) if reason is None]
    others = [reason for reason in reasons if reason is not None]
    if not others:
        return same, None
    return same, f"{len(others)} earlier interleaved runs are left out: {'; '.join(dict.fromkeys(others))}"


def _other_version(candidate: Candidate, hw: Hardware) -> str | None:
    """Packages only: a new patch release of Python would cost all runs for nothing."""
    interpreter = candidate.config.interpreter
    if interpreter != OWN and interpreter not in hw.environments:
        return f"made by the interpreter {interpreter}, which was removed"
    installed = hw.seen_by(interpreter).packages
    for name, version in candidate.versions.items():
        if name != "python" and installed.get(name) != version:
            return f"made with {name} {version}, now {installed.get(name, 'not installed')}"
    return None
