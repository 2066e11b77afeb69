"""The strongest evidence that a study has for its winner, which every figure is taken from.

A finished confirmation is the strongest; then the interleaved runs that were made so far; then the windows of the
search, freed of what selection adds to them (`model.posterior`). The winner follows the same order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from autotune.analysis.metrics import METRICS
from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.study.model import posterior as posteriors
from autotune.study.model.posterior import Posterior
from autotune.study.ranking import Ranking

Level = Literal["confirmed", "interleaved", "search"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evidence:
    """The winner with its figures, all from one level of evidence; `source` is what they were taken from.

    `ratio` is that to the baseline by the first objective, above 1 for better; None where it is not known. `disturbed`
    is the share of the blocks behind the figures during which the machine was disturbed.
    """

    level: Level
    config: Config
    rate: Estimate
    ratio: Estimate | None
    disturbed: float
    source: Winner | TrialResult

    @property
    def trial(self) -> int | None:
        """The number of the winner's trial; None if no trial measured just that configuration."""
        return self.source.spec.id if isinstance(self.source, TrialResult) else self.source.trial


def strongest(ranking: Ranking, space: Space, hw: Hardware, confirmation: Confirmation | None) -> Evidence | None:
    """The evidence for the winner; None while there is none.

    That a first comparison found no gain counts until the search finds something better among what it did not compare.
    Without a claim only trials whose interpreter is still there are considered.
    """
    if confirmation is not None and (winner := confirmation.winner) is not None and _counts(confirmation, winner, hw):
        if confirmation.confirmed and not confirmation.gain and not confirmation.finished:
            searched = of_search(ranking, space, hw)
            if searched is not None and searched.config not in [one.config for one in confirmation.finalists]:
                return searched
        return Evidence(
            level="confirmed" if confirmation.confirmed else "interleaved",
            config=winner.config,
            rate=winner.throughput,
            ratio=winner.ratio,
            disturbed=confirmation.disturbed,
            source=winner,
        )
    return of_search(ranking, space, hw)


def _counts(confirmation: Confirmation, winner: Winner, hw: Hardware) -> bool:
    """True for a claim; of an unfinished one, if the runs so far have a ratio of a configuration that may win."""
    broken = [one.config for one in confirmation.finalists if one.broken is not None]
    able = winner.config not in broken and hw.has(winner.config.interpreter)
    return confirmation.confirmed or (winner.ratio is not None and able)


def of_search(ranking: Ranking, space: Space, hw: Hardware) -> Evidence | None:
    """The evidence of the trials alone; of several objectives the knee of the front."""
    able = [result for result in ranking.order() if hw.has(result.spec.config.interpreter)]
    if not able:
        return None
    known = posterior(ranking, space, hw)
    best = able[0] if known is None else posteriors.kinds(able, known, space.baseline, 1)[0]
    return of_trial(best, ranking, space, known)


def of_trial(result: TrialResult, ranking: Ranking, space: Space, known: Posterior | None) -> Evidence:
    """The evidence for one trial: from the posterior where it has a score there, else from the windows as they are."""
    base = ranking.baseline(space.baseline)
    behind = [one for one in (result, base) if one is not None]
    return Evidence(
        level="search",
        config=result.spec.config,
        rate=rate(result, ranking, known),
        ratio=None if base is None else ratio(result, base, ranking, known),
        disturbed=max(ranking.disturbed(one) for one in behind),
        source=result,
    )


def ratio(result: TrialResult, other: TrialResult, ranking: Ranking, known: Posterior | None) -> Estimate | None:
    """The factor by which a trial is better than another of its study by the first objective; None if unknown.

    From the posterior; with several objectives from the windows, of which only a rate has an interval.
    """
    configs = result.spec.config, other.spec.config
    if known is not None:
        return known.ratio(*configs, CONFIDENCE) if all(one.key in known.places for one in configs) else None
    scores, others = ranking.scores(result), ranking.scores(other)
    if scores is None or others is None:
        return None
    if METRICS[ranking.goal.objectives[0]].rate_only:
        return ranking.ratio(result, other)
    return Estimate(estimate=math.exp(scores[0] - others[0]), low=None, high=None)


def rate(result: TrialResult, ranking: Ranking, known: Posterior | None) -> Estimate:
    """The rate of a measured trial: from the posterior where the rate alone decides, else its window's."""
    scores = ranking.scores(result)
    if known is None or scores is None or not ranking.rate_decides:
        return ranking.interval(result)
    score, factor = known.score(result.spec.config, CONFIDENCE), ranking.rate(result) / math.exp(scores[0])
    low, high = (None if edge is None else factor * edge for edge in (score.low, score.high))
    return Estimate(estimate=factor * score.estimate, low=low, high=high)


def posterior(ranking: Ranking, space: Space, hw: Hardware) -> Posterior | None:
    """The posterior of the trials, computed once; None with several objectives, or without a trial that has a score."""
    if len(space.goal.objectives) > 1:
        return None
    return ranking.once("posterior", lambda: posteriors.posterior(ranking, space.domains, hw))
