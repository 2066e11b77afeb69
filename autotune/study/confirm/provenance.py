"""The machine and the package versions that interleaved runs were made with: only equal ones are pooled in a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.study import versions


def difference(run: InterleavedRun, hw: Hardware) -> str | None:
    """The first thing in which a run was not made as one is made today; None if there is none."""
    if run.fingerprint != hw.fingerprint:
        return "made on another type of machine"
    return next(filter(None, (other_version(one.config, one.versions, hw) for one in run.candidates.values())), None)


def comparable(runs: Sequence[InterleavedRun], hw: Hardware) -> tuple[list[InterleavedRun], str | None]:
    """The runs that were made as one is made today, and a line that says how many are left out, and why."""
    reasons = [reason for run in runs if (reason := difference(run, hw)) is not None]
    if not reasons:
        return list(runs), None
    kept = [run for run in runs if difference(run, hw) is None]
    return kept, f"{len(runs) - len(kept)} earlier interleaved runs are left out: {'; '.join(dict.fromkeys(reasons))}"


def other_version(config: Config, measured: Mapping[str, str], hw: Hardware) -> str | None:
    """The first package that a configuration was measured with in another version than today; None if there is none."""
    if not hw.has(config.interpreter):
        return f"made by the interpreter {config.interpreter}, which was removed"
    changed = versions.changed(config, measured, hw)
    return next((f"made with {name} {then_and_now}" for name, then_and_now in changed.items()), None)
