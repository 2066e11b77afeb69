"""The outcome of candidates over several interleaved runs: in how many each was measured, and whether it failed."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.core.results import InterleavedRun
from autotune.core.rules import Correction
from autotune.study.confirm.scores import scores

ENOUGH_FAILURES = 2
"""A candidate that failed in so many runs is measured no more; a single failure may be the machine's fault."""


def failed(runs: Sequence[InterleavedRun], name: str) -> bool:
    """True if a candidate failed so often that it is measured no more."""
    return len(_errors(runs, name)) >= ENOUGH_FAILURES


def failure(runs: Sequence[InterleavedRun], name: str) -> str | None:
    """The last error of a candidate that is measured no more; None if it still is."""
    return _errors(runs, name)[-1] if failed(runs, name) else None


def complete(runs: Sequence[InterleavedRun], names: Sequence[str]) -> int:
    """The number of runs in which each of these has a value of the run's objective."""
    return sum(
        all(name in run.candidates and scores(run.candidates[name], run.spec.objective, Correction()) for name in names)
        for run in runs
    )


def shared(runs: Sequence[InterleavedRun], a: str, b: str) -> int:
    """The number of runs in which both have a block, be there a value of the objective or not."""
    return sum(all(name in run.candidates and run.candidates[name].blocks for name in (a, b)) for run in runs)


def _errors(runs: Sequence[InterleavedRun], name: str) -> list[str]:
    return [error for run in runs if name in run.candidates and (error := run.candidates[name].error) is not None]
