"""The claim of an earlier confirmation while the search goes on: it stands until another one is confirmed."""

from __future__ import annotations

import math

from autotune.core.confirmation import Confirmation
from autotune.study import evidence
from autotune.study.model import posterior as posteriors
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy


def reopen_if_challenged(study: OpenStudy, ranking: Ranking) -> None:
    """Mark the confirmation as unfinished where a trial now ranks among the finalists that it did not compare.

    The next confirmation then compares anew. Until that ends, an interruption leaves the claim as it is.
    """
    confirmation = store.confirmation(study.folder)
    honoured = Ranking(ranking.results, study.space.goal, study.hardware)
    if confirmation is not None and _challenged(confirmation, honoured, study):
        store.reopen_confirmation(study.folder)


def drop_if_challenged(study: OpenStudy) -> None:
    """Remove a confirmation that did not compare the best trials, where no other confirmation follows."""
    confirmation = store.confirmation(study.folder)
    ranking = Ranking(store.results(study.folder), study.space.goal, study.hardware)
    if confirmation is not None and _challenged(confirmation, ranking, study):
        store.write_confirmation(study.folder, None)


def _challenged(confirmation: Confirmation, ranking: Ranking, study: OpenStudy) -> bool:
    """True if a trial that was not compared is among the best, as many as were compared, or before one of those.

    The baseline is compared whatever its rank; a finalist that there was no time for was not. What as likely as not
    differs from none of those compared by what matters is no news.
    """
    baseline = study.space.baseline
    met = (one for one in confirmation.finalists if one.measured or one.error or one.broken or one.served)
    compared = {one.config.key: one.config for one in met}
    most = len(compared.keys() - {baseline.key})
    known = evidence.posterior(ranking, study.space, study.hardware)
    order = ranking.order()
    best = order
    if known is not None:
        means = {one.spec.config.key: known.mean(one.spec.config) for one in order}
        least = min((means[key] for key in compared.keys() & means.keys() - {baseline.key}), default=math.inf)
        reach = sum(mean >= least for mean in means.values())  # no kind beyond has one that was compared
        best = posteriors.kinds(order, known, baseline, max(most, reach))
    ranked = [result.spec.config for result in best]
    last = max((place for place, one in enumerate(ranked) if one.key in compared and one != baseline), default=-1)
    new = [one for one in ranked[: max(last + 1, most)] if one.key not in compared]
    if known is None:
        return bool(new)
    held = [config for key, config in compared.items() if key in known.places]
    return any(all(known.chance_to_differ(one, other, posteriors.DELTA) >= 0.5 for other in held) for one in new)
