"""The strongest evidence that a study has for its winner, which every figure is taken from.

A finished confirmation is the strongest; then the interleaved runs that were made so far; then the windows of the
search, freed of what selection adds to them (`model.posterior`). The winner follows the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation, Winner
from autotune.core.machine import Hardware
from autotune.core.results import Estimate, TrialResult
from autotune.core.space_types import Space
from autotune.study.model import posterior as posteriors
from autotune.study.model.posterior import Posterior
from autotune.study.ranking import Ranking

Level = Literal["confirmed", "interleaved", "search"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evidence:
    """The winner with its figures, all from one level of evidence; `source` is what they were taken from.

    `ratio` is that to the baseline, None where it is not known. `disturbed` is the share of the blocks behind the
    figures during which the machine was disturbed.
    """

    level: Level
    config: Config
    rate: Estimate
    ratio: Estimate | None
    disturbed: float
    source: Winner | TrialResult


def strongest(
    results: Sequence[TrialResult], space: Space, hw: Hardware, confirmation: Confirmation | None
) -> Evidence | None:
    """The evidence for the winner among the trials whose interpreter is still there; None while there is none."""
    if confirmation is not None and (winner := confirmation.winner) is not None:
        return Evidence(
            level="confirmed" if confirmation.confirmed else "interleaved",
            config=winner.config,
            rate=winner.throughput,
            ratio=winner.ratio,
            disturbed=confirmation.disturbed,
            source=winner,
        )
    return of_search(Ranking(results, space.goal), space, hw)


def of_search(ranking: Ranking, space: Space, hw: Hardware) -> Evidence | None:
    """The evidence of the trials alone; of several objectives the knee of the front."""
    able = [result for result in ranking.order() if hw.has(result.spec.config.interpreter)]
    if not able:
        return None
    known = posterior(ranking, space, hw)
    best = able[0] if known is None else posteriors.kinds(able, known, space.baseline, 1)[0]
    return of_trial(best, ranking, space, known)


def of_trial(result: TrialResult, ranking: Ranking, space: Space, known: Posterior | None) -> Evidence:
    """The evidence for one trial: from the posterior where there is one, else from the windows as they are."""
    base = ranking.baseline(space.baseline)
    config = result.spec.config
    if known is None or not ranking.rate_decides:
        rate, ratio = ranking.interval(result), None if base is None else ranking.ratio(result, base)
    else:
        rate = known.rate(config, CONFIDENCE)
        ratio = None if base is None else known.ratio(config, space.baseline, CONFIDENCE)
    behind = [one for one in (result, base) if one is not None]
    return Evidence(
        level="search",
        config=config,
        rate=rate,
        ratio=ratio,
        disturbed=max(ranking.disturbed(one) for one in behind),
        source=result,
    )


def posterior(ranking: Ranking, space: Space, hw: Hardware) -> Posterior | None:
    """The posterior of the trials; None with several objectives, or too few trials."""
    return posteriors.posterior(ranking, space.domains, hw) if len(space.goal.objectives) == 1 else None
