"""The claim of an earlier confirmation while the search goes on: it stands until another one is confirmed."""

from __future__ import annotations

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation
from autotune.core.rules import ConfirmRules
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy


def reopen_if_challenged(study: OpenStudy, ranking: Ranking) -> None:
    """Mark the confirmation as unfinished where a trial now ranks among the finalists that it did not compare.

    The next confirmation then compares anew. Until that ends, an interruption leaves the claim as it is.
    """
    confirmation = store.confirmation(study.folder)
    honoured = Ranking(ranking.results, study.space.goal, study.hardware)
    if confirmation is not None and _challenged(confirmation, honoured, study.space.baseline):
        store.reopen_confirmation(study.folder)


def drop_if_challenged(study: OpenStudy) -> None:
    """Remove a confirmation that did not compare the best trials, where no other confirmation follows."""
    confirmation = store.confirmation(study.folder)
    ranking = Ranking(store.results(study.folder), study.space.goal, study.hardware)
    if confirmation is not None and _challenged(confirmation, ranking, study.space.baseline):
        store.write_confirmation(study.folder, None)


def _challenged(confirmation: Confirmation, ranking: Ranking, baseline: Config) -> bool:
    """True if a trial that was not compared is among the finalists of today, or before one of those compared.

    There may be more of these than finalists: others took the place of those that broke a limit. The baseline is
    compared whatever its rank.
    """
    compared = {one.config.key for one in confirmation.finalists}
    ranked = list(dict.fromkeys(result.spec.config.key for result in ranking.order()))
    last = max((place for place, key in enumerate(ranked) if key in compared - {baseline.key}), default=-1)
    return not compared.issuperset(ranked[: max(last + 1, ConfirmRules().finalists)])
