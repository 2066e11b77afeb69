"""What whole runs show (`whole_runs.py`): by space and machine, what must hold of all, and against an earlier state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from autotune.core.struct import Struct

NEAR = 0.03


class Figure(Struct):
    """The speed-up that a user reads at a time (s), with the evidence behind it; `truth` is that of the recording.

    `regret` is how far the configuration lies below the best one, as a difference of log rates.
    """

    seconds: float
    evidence: str
    estimate: float
    low: float | None
    high: float | None
    truth: float
    regret: float

    @property
    def holds(self) -> bool:
        """True if the interval holds the truth; one without an interval does not."""
        return self.low is not None and self.high is not None and self.low <= self.truth <= self.high


class Run(Struct):
    """A whole run: when its search ended (s) after how many trials, when a claim stood, and all that was to be read."""

    trials: int
    searched_s: float
    claimed_s: float | None
    ended_s: float
    figures: tuple[Figure, ...]

    @property
    def last(self) -> Figure:
        """The exported configuration's."""
        return self.figures[-1]


class Task(Struct):
    """One run."""

    space: str
    machine: str
    seed: int


Runs = dict[Task, Run]


def report(runs: Runs, before: Runs) -> bool:
    """Print all tables; true if what must hold does."""
    for kind in dict.fromkeys((task.space, task.machine) for task in runs):
        print(f"{', '.join(kind)}: {_described(_of(runs, kind))}")
        if earlier := _of(before, kind):
            print(f"  before: {_described(earlier)}")
    passed = list(_verdicts(list(runs.values())))
    if before:
        passed.append(_sooner([runs[task] for task in before], list(before.values())))
    for good, text in passed:
        print(f"{'passed' if good else 'NOT PASSED'}: {text}")
    return all(good for good, _ in passed)


def _of(runs: Runs, kind: tuple[str, str]) -> list[Run]:
    return [run for task, run in runs.items() if (task.space, task.machine) == kind]


def _described(runs: Sequence[Run]) -> str:
    regrets = np.array([run.last.regret for run in runs])
    return (
        f"confirmed {np.mean([run.claimed_s is not None for run in runs]):.1%}, "
        f"claim after {_claimed(runs):.0f} s (search {np.median([run.searched_s for run in runs]):.0f} s, "
        f"{np.median([run.trials for run in runs]):.0f} trials; all {np.median([run.ended_s for run in runs]):.0f} s), "
        f"regret median {np.median(regrets):.1%}, within {NEAR:.0%} {np.mean(regrets <= -math.log(1 - NEAR)):.0%}"
    )


def _claimed(runs: Sequence[Run]) -> float:
    """The median time to a claim; a run without one counts as its end at the earliest."""
    return float(np.median([run.ended_s if run.claimed_s is None else run.claimed_s for run in runs]))


def _verdicts(runs: Sequence[Run]) -> Iterator[tuple[bool, str]]:
    confirmed = np.mean([run.claimed_s is not None for run in runs])
    yield confirmed >= 0.98, f"{confirmed:.1%} of {len(runs)} runs end confirmed; wanted 98 %"
    near = np.mean([run.last.regret <= -math.log(1 - NEAR) for run in runs])
    yield near >= 0.9, f"what is exported is within {NEAR:.0%} of the best in {near:.1%}; wanted 90 %"
    figures = [figure for run in runs for figure in run.figures]
    for evidence in ("search", "interleaved", "confirmed"):
        found = [figure for figure in figures if figure.evidence == evidence]
        if not found:
            continue
        holds = np.mean([figure.holds for figure in found])
        error = np.mean([figure.estimate / figure.truth - 1 for figure in found])
        size = np.mean([abs(figure.estimate / figure.truth - 1) for figure in found])
        width = np.median([figure.high / figure.low - 1 for figure in found if figure.low and figure.high])
        text = f"{evidence}: the interval holds the truth in {holds:.1%} of {len(found)}; wanted 90 %"
        yield bool(holds >= 0.9), f"{text}; error {error:+.1%}, in size {size:.1%}; width {width:.1%}"
    last = np.mean([run.last.holds for run in runs])
    yield bool(last >= 0.9), f"what a run ends with holds the truth in {last:.1%}; wanted 90 %"
    unconfirmed = [run.figures[0] for run in runs]
    error = float(np.mean([figure.estimate / figure.truth - 1 for figure in unconfirmed]))
    yield abs(error) <= 0.03, f"the headline before a confirmation is off by {error:+.1%} in the mean; wanted 3 %"


def _sooner(runs: Sequence[Run], before: Sequence[Run]) -> tuple[bool, str]:
    ratio, low, high = _ratio(runs, before)
    text = f"the median time to a claim over that before: {ratio:.2f} ({low:.2f} to {high:.2f}); wanted ≤ 0.50"
    return ratio <= 0.5, text


def _ratio(runs: Sequence[Run], before: Sequence[Run]) -> tuple[float, float, float]:
    """The ratio of the median times to a claim with its 95 % bootstrap interval; runs are paired by seed."""
    ours, theirs = (
        np.array([run.ended_s if run.claimed_s is None else run.claimed_s for run in found]) for found in (runs, before)
    )
    draws = np.random.default_rng(0).integers(0, len(ours), (4000, len(ours)))
    ratios = np.median(ours[draws], axis=1) / np.median(theirs[draws], axis=1)
    return float(np.median(ours) / np.median(theirs)), *map(float, np.quantile(ratios, (0.025, 0.975)))
