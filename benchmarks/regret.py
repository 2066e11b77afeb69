"""What replayed searches show: regret after some trials, time to a good configuration, and ratios with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from competitors import OURS, TITLES
from replay import Replay, recorded

from autotune.core.struct import Struct

TRIALS = (10, 20, 40, 80)
NEAR = 0.05
"""A configuration is good from this share below the best on."""

LIMITS = {"tpe": 1 / 2, "random": 1 / 5}
"""The largest ratio of the median times, ours over theirs, on the spaces that were recorded here."""

SEEDS = 50
"""Fewer searches of each show nothing."""

DRAWS = 4000
Array = np.ndarray[Any, np.dtype[np.float64]]


class Run(Struct):
    """One search: after each trial the simulated time (s), and how far the truth of the best seen is below the best.

    That is a difference of logarithms; None while nothing was measured.
    """

    seconds: tuple[float, ...]
    regrets: tuple[float | None, ...]

    @property
    def percent(self) -> tuple[float, ...]:
        """The regrets as shares of the best rate; all of it while nothing was measured."""
        return tuple(100.0 if one is None else -100 * math.expm1(-one) for one in self.regrets)

    def after(self, count: int) -> float:
        """The regret (%) after so many trials, or at the end of a search that ended before."""
        return self.percent[min(count, len(self.percent)) - 1]

    @property
    def reached_s(self) -> float:
        """When the best seen was first within `NEAR` of the best; infinite if it never was."""
        return next((s for s, one in zip(self.seconds, self.percent, strict=True) if one <= 100 * NEAR), math.inf)


Runs = dict[tuple[str, bool], dict[str, dict[int, Run]]]
"""By space and whether the recipes came first, competitor and seed."""


class Ratio(Struct):
    """How the median time to a good configuration compares, with its 95 % bootstrap interval.

    `bound` says that the other's median was not reached, so that its runs' ends stand for it and the ratio is at most
    this. Infinite where ours was not reached.
    """

    estimate: float
    low: float
    high: float
    bound: bool

    @property
    def neither(self) -> bool:
        """Whether neither median was reached."""
        return self.bound and math.isinf(self.estimate)

    def __str__(self) -> str:
        if math.isinf(self.estimate):
            return "not reached"
        return f"{'at most ' if self.bound else ''}{self.estimate:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Mapping[int, Run], other: Mapping[int, Run]) -> Ratio:
    """Of the median times; the bootstrap draws seeds, which both have in common."""
    seeds = sorted(ours.keys() & other.keys())
    mine = np.array([ours[seed].reached_s for seed in seeds])
    theirs = np.array([other[seed].reached_s for seed in seeds])
    bounded = np.minimum(theirs, [other[seed].seconds[-1] for seed in seeds])
    draws = _draws(len(seeds))
    ratios = np.median(mine[draws], axis=1) / np.median(bounded[draws], axis=1)
    return Ratio(
        estimate=float(np.median(mine) / np.median(bounded)),
        low=_quantile(ratios, 0.025),
        high=_quantile(ratios, 0.975),
        bound=bool(np.isinf(np.median(theirs))),
    )


def worse(ours: Mapping[int, Run], other: Mapping[int, Run]) -> bool:
    """Whether ours is significantly behind: in the time to a good configuration, or the regret at one of `TRIALS`."""
    found = ratio(ours, other)
    if not found.bound and found.low > 1:
        return True
    seeds = sorted(ours.keys() & other.keys())
    draws = _draws(len(seeds))
    for count in TRIALS:
        mine, theirs = (np.array([runs[seed].after(count) for seed in seeds])[draws] for runs in (ours, other))
        if _quantile(np.median(mine, axis=1) - np.median(theirs, axis=1), 0.025) > 0:
            return True
    return False


def verdicts(runs: Runs) -> Iterator[tuple[bool, str]]:
    """What must hold, each with whether it does: autotune against TPE and random, as far as they ran."""
    for (space, recipes), found in runs.items():
        if OURS not in found:
            continue
        where = title(space, recipes)
        for name, limit in LIMITS.items() if recorded(space) else ():
            if name in found:
                one = ratio(found[OURS], found[name])
                yield one.estimate <= limit, f"{where}: time over that of {TITLES[name]} {one}; wanted ≤ {limit:.2f}"
        if "random" in found:
            one = ratio(found[OURS], found["random"])
            passed = (one.estimate <= 1 or one.bound) and not worse(found[OURS], found["random"])
            if one.neither:
                times = "near in no more than half of the runs, as it"
            elif one.bound and one.estimate > 1:
                times = "near in more than half of the runs, which it is not"
            else:
                times = f"time over its {one}, wanted ≤ 1"
            yield passed, f"{where}: not worse than random search ({times}), nor after {_listed(TRIALS)} trials"


def judged(runs: Runs) -> bool:
    """Whether all verdicts are good, of searches that ran often enough."""
    compared = all(len(found.get(name, ())) >= SEEDS for found in runs.values() for name in (OURS, *LIMITS))
    return compared and all(passed for passed, _ in verdicts(runs))


def title(space: str, recipes: bool) -> str:
    """A space as pages name it."""
    return f"{space}, recipes first" if recipes else space


# ------------------------------------------------------------------------------------------------------------ the page


def page(runs: Runs, spaces: Mapping[str, Replay]) -> str:
    """All tables and verdicts as Markdown."""
    parts = [
        f"### {title(space, recipes)}\n\n{_described(spaces[space])}\n\n{_table(found)}"
        for (space, recipes), found in runs.items()
    ]
    lines = [f"- {'passed' if passed else '**not passed**'}: {text}" for passed, text in verdicts(runs)]
    return "\n\n".join([*parts, *(["### What must hold", "\n".join(lines)] if lines else [])])


def _described(replay: Replay) -> str:
    truths = np.array(list(replay.truths.values()))
    good = int(np.sum(truths >= truths.max() + math.log(1 - NEAR)))
    return (
        f"{len(truths):,} configurations run and keep the limits, {good} of them within {NEAR:.0%} of the best; "
        f"the median one has {math.exp(np.median(truths) - truths.max()):.0%} of its rate."
    )


def _table(found: Mapping[str, Mapping[int, Run]]) -> str:
    head = ["", *(f"regret at {count} (%)" for count in TRIALS), f"time to within {NEAR:.0%} (s)", "reached"]
    head += [f"{TITLES[OURS]}'s time over it (95 %)"] if OURS in found else []
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, by_seed in found.items():
        runs = list(by_seed.values())
        row = [TITLES[name], *(f"{regret_at(runs, count):.1f}" for count in TRIALS), near_s(runs)]
        row += [f"{sum(math.isfinite(run.reached_s) for run in runs)} of {len(runs)}"]
        if OURS in found:
            row += ["" if name == OURS else str(ratio(found[OURS], by_seed))]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def regret_at(runs: Sequence[Run], count: int) -> float:
    """The median regret (%) after so many trials."""
    return float(np.median([run.after(count) for run in runs]))


def _listed(counts: Sequence[int]) -> str:
    return f"{', '.join(map(str, counts[:-1]))} or {counts[-1]}"


def near_s(runs: Sequence[Run]) -> str:
    """The median of the seconds to a good configuration, in words; of their ends where it was not reached."""
    median = float(np.median([run.reached_s for run in runs]))
    if math.isfinite(median):
        return f"{median:.0f}"
    return f"> {np.median([min(run.reached_s, run.seconds[-1]) for run in runs]):.0f}"


def _draws(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.random.default_rng(0).integers(0, count, (DRAWS, count))


def _quantile(values: Array, share: float) -> float:
    return float(np.quantile(values, share, method="inverted_cdf"))  # without interpolating, since some are infinite
