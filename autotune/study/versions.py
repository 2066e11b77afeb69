"""Trials that were measured with other package versions than later ones, as after an update between two runs.

The search goes on with them: it learns from their rates and ranks them as they were measured. Whoever shows them says
which they are, and a claim never rests on them: what is confirmed is measured anew with the versions of its day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult

UNCOUNTED = ("python",)
"""A patch release of Python would set all trials apart for nothing."""


def changed(config: Config, versions: Mapping[str, str], hw: Hardware) -> dict[str, str]:
    """The packages that a measurement had in another version than today, each with `VERSION, now VERSION`.

    Empty for an interpreter that was removed since: what runs in it cannot be measured again.
    """
    if not hw.has(config.interpreter):
        return {}
    installed = hw.seen_by(config.interpreter).packages
    return {
        name: f"{version}, now {installed.get(name, 'not installed')}"
        for name, version in counted(versions).items()
        if installed.get(name) != version
    }


def changes(results: Sequence[TrialResult], hw: Hardware) -> list[str]:
    """A line for each package that trials had in another version than today, with how many trials."""
    counts = Counter(item for result in results for item in changed(result.spec.config, result.versions, hw).items())
    return [f"{name} {versions}: measured by {count} of the trials" for (name, versions), count in counts.items()]


def counted(found: Mapping[str, str]) -> dict[str, str]:
    """The packages that set measurements apart where their versions differ."""
    return {name: version for name, version in found.items() if name not in UNCOUNTED}


def outdated(results: Sequence[TrialResult]) -> dict[int, dict[str, str]]:
    """The trials that had a package in another version than the latest trial with it in the same interpreter.

    By trial number: the packages and the versions that it had. This needs no machine, so that every reader finds them.
    """
    latest: dict[tuple[object, str], str] = {}
    found: dict[int, dict[str, str]] = {}
    for result in sorted(results, key=lambda result: result.spec.id, reverse=True):
        for name, version in counted(result.versions).items():
            if latest.setdefault((result.spec.config.interpreter, name), version) != version:
                found.setdefault(result.spec.id, {})[name] = version
    return found
