"""Choosing among the finalists: who sits, who is dropped, who wins, and whether that is a gain."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from autotune.analysis import selection, stats
from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metrics import METRICS
from autotune.core.config import Config
from autotune.core.confirmation import Finalist
from autotune.core.results import Estimate, InterleavedRun, TrialResult
from autotune.core.rules import ConfirmRules
from autotune.study.confirm import comparison, config_diff
from autotune.study.confirm.aggregate import Limits
from autotune.study.confirm.comparison import Table
from autotune.study.ranking import Ranking

UNKNOWN_S = 30.0
"""What an interleaved run may take where none was seen."""

BASELINE = "baseline"
AGAIN = "again"


def finalists(
    ranking: Ranking, baseline: Config, rules: ConfirmRules, out: Container[str] = ()
) -> dict[str, TrialResult]:
    """The best configurations and the baseline, by the name they have in the comparison, the best first.

    Configurations whose key is in `out` are not among them.
    """
    base = ranking.baseline(baseline)
    assert base is not None
    ranked: dict[str, TrialResult] = {}
    for result in ranking.order():
        if result.spec.config.key not in out:
            ranked.setdefault(result.spec.config.key, result)
    best = list(ranked.values())[: rules.finalists]
    return {_name(result, base): result for result in best} | {BASELINE: base}


def configs_by_name(finalists: dict[str, TrialResult]) -> dict[str, Config]:
    """The finalists' configurations, that of the leading one twice."""
    leader = next(iter(finalists))
    twin = {f"{leader}-{AGAIN}": finalists[leader].spec.config}
    return {name: result.spec.config for name, result in finalists.items()} | twin


@dataclass(frozen=True)
class Chosen:
    """What the finalists' interleaved runs say; `reason` is why nothing can be claimed, None if it can.

    Without a gain it is the baseline, unless that breaks the limits.
    """

    name: str
    config: Config
    gain: bool
    noise_floor: float | None
    finalists: tuple[Finalist, ...]
    rates: Table
    reason: str | None


@dataclass(frozen=True)
class Running:
    """The finalists that are still in the running, with the baseline and the leader's twin; none once it is settled.

    It is where only the baseline is left, too. Without the baseline nothing can be claimed.
    """

    finalists: dict[str, TrialResult]
    confirm: ConfirmRules
    limits: Limits

    def __call__(self, runs: Sequence[InterleavedRun]) -> set[str]:
        alive = selected(runs, list(self.finalists), self.confirm, self.limits)
        enough = comparison.complete(runs, [*alive, BASELINE]) >= self.confirm.runs
        settled = alive <= {BASELINE} or (enough and (len(alive) == 1 or self.limits.several))
        if settled or comparison.failure(runs, BASELINE) is not None:
            return set()
        leader = next(iter(self.finalists))
        twin = {f"{leader}-{AGAIN}"} if leader in alive else set()
        return alive | {BASELINE} | twin


def selected(runs: Sequence[InterleavedRun], names: Sequence[str], rules: ConfirmRules, limits: Limits) -> set[str]:
    """Which of these Kim and Nelson's procedure leaves in the running; one that was dropped never comes back.

    What breaks a limit is out of it. Of several objectives none is the one to select by: then all the others stay.
    """
    running = [name for name in names if comparison.failure(runs, name) is None]
    running = [name for name in running if limits.broken(runs, name) is None]
    alive = sorted(name for name in running if not runs or name in runs[-1].spec.configs)
    if limits.several:
        return set(alive)
    rates = comparison.table(runs, alive, rules.confidence)
    if METRICS[limits.goal.objectives[0]].per_start:  # one value an interleaved run
        rules = msgspec.structs.replace(rules, first_stage=rules.runs)
    return selection.surviving(rates.rounds(alive), rules, len(running))


def choose(
    runs: Sequence[InterleavedRun],
    finalists: dict[str, TrialResult],
    baseline: Config,
    rules: ConfirmRules,
    limits: Limits,
) -> Chosen:
    """The winner: the best of those selected; among its ties the one with the fewest settings changed, then memory.

    Nothing is claimed with fewer runs than the rules ask, or where the gain does not exceed the noise floor; the
    winner then is the baseline. Of several objectives the knee of the search's front wins; a gain in any one is a gain,
    so that each is held to its own noise and to its part of the confidence (Bonferroni).
    """
    names, objectives = list(configs_by_name(finalists)), limits.goal.objectives
    confidence = 1 - (1 - rules.confidence) / len(objectives)
    tables = {objective: comparison.table(runs, names, confidence, objective) for objective in objectives}
    rates = tables[objectives[0]]
    alive = selected(runs, list(finalists), rules, limits)
    broken = {name: found for name in finalists if (found := limits.broken(runs, name)) is not None}
    means = {name: rates.difference(name, BASELINE).estimate for name in finalists}
    candidates = [name for name in finalists if name in alive and not math.isnan(means[name])] or [BASELINE]
    leader = candidates[0] if limits.several else max(candidates, key=lambda name: means[name])
    behind = {name: rates.difference(leader, name) for name in finalists if name != leader}
    verdicts = {name: selection.verdict(difference, rules.delta) for name, difference in behind.items()}
    level = [name for name, said in verdicts.items() if said == "tie" and comparison.failure(runs, name) is None]
    level = [] if limits.several else [name for name in level if name not in broken]
    enough = {name for name in level if rates.counts(name, BASELINE)[0] >= rules.runs}
    ties = [leader, *(name for name in level if name in candidates or name in enough)]
    simplest = min(ties, key=lambda name: _simplicity(finalists[name], baseline))
    floors = [_noise_floor(table, next(iter(finalists))) for table in tables.values()]
    reason = None if alive == {BASELINE} else _reason(runs, rates, simplest, rules, broken)
    claims = {name: [table.difference(name, BASELINE) for table in tables.values()] for name in finalists}
    gain = reason is None and simplest != BASELINE and any(map(_shown, claims[simplest], floors))
    name = simplest if gain or BASELINE in broken else BASELINE
    return Chosen(
        name=name,
        config=finalists[name].spec.config,
        gain=gain,
        noise_floor=floors[0],
        finalists=tuple(
            Finalist(
                trial=result.spec.id,
                config=result.spec.config,
                ratio=rates.ratio(one, BASELINE),
                verdict=None if math.isnan(means[one]) else verdicts.get(one),
                behind=stats.from_logs(behind[one]) if one in behind and not math.isnan(means[one]) else None,
                error=comparison.failure(runs, one),
                ratios=_ratios(objectives, claims[one]) if limits.several else {},
                broken=broken[one].description if one in broken else None,
            )
            for one, result in finalists.items()
        ),
        rates=rates,
        reason=reason,
    )


def _shown(claim: Estimate, floor: float | None) -> bool:
    """Whether a difference is one for sure, and more than a configuration differs from itself."""
    return claim.low is not None and claim.low > 0 and (floor is None or claim.estimate > floor)


def _ratios(objectives: Sequence[str], claims: Sequence[Estimate]) -> dict[str, Estimate]:
    pairs = zip(objectives, claims, strict=True)
    return {name: stats.from_logs(claim) for name, claim in pairs if not math.isnan(claim.estimate)}


def _reason(
    runs: Sequence[InterleavedRun], rates: Table, name: str, rules: ConfirmRules, broken: Mapping[str, ConstraintCheck]
) -> str | None:
    if name in broken:
        return f"no finalist kept the limits while it was confirmed; {name}: {broken[name].description}"
    for one in (BASELINE, name):
        if error := comparison.failure(runs, one):
            return f"{one} failed while it was confirmed: {error}"
    count, _ = rates.counts(name, BASELINE)
    if count < rules.runs <= comparison.shared(runs, name, BASELINE):
        return f"only {count} interleaved runs have what is wanted of {name}; a claim needs {rules.runs}"
    if count < rules.runs:
        enough = f"the time was enough for {count} of the {rules.runs} interleaved runs that a claim needs"
        more = _more(runs, rules.runs - count)
        return f"{enough}; the same command goes on, if need be with --minutes raised by {more}"
    return None


def _more(runs: Sequence[InterleavedRun], lacking: int) -> int:
    """The minutes that so many further runs take, as those so far tell; they are a part of the budget only."""
    a_run = max((run.wall_s for run in runs), default=UNKNOWN_S)
    return math.ceil(a_run * lacking / 60) + 1


def _noise_floor(rates: Table, name: str) -> float | None:
    """What a configuration differs from itself: |mean| and half-width of the paired difference, as a log ratio.

    None where it failed, or sat too seldom with itself.
    """
    difference = rates.difference(name, f"{name}-{AGAIN}")
    if difference.low is None or difference.high is None:
        return None
    return abs(difference.estimate) + (difference.high - difference.low) / 2


def _simplicity(result: TrialResult, baseline: Config) -> tuple[int, int]:
    return len(config_diff.changes(result.spec.config, baseline)), result.peak_rss_bytes or 0


def _name(result: TrialResult, base: TrialResult) -> str:
    return BASELINE if result.spec.config == base.spec.config else f"trial-{result.spec.id}"
