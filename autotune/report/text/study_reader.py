"""A study as it is read for people: everything that its folder says, once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from autotune.core.confirmation import Confirmation
from autotune.core.finding import Finding
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.report.text import table
from autotune.study import evidence
from autotune.study.evidence import Evidence
from autotune.study.model.posterior import Posterior
from autotune.study.ranking import Ranking
from autotune.study.storage import store


@dataclass(frozen=True)
class Study:
    """A study that is running or finished; `results` are the trials that say something, in their order."""

    folder: Path
    space: Space
    hardware: Hardware
    results: list[TrialResult]
    ranking: Ranking
    confirmation: Confirmation | None
    findings: tuple[Finding, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def baseline(self) -> TrialResult | None:
        """The baseline's trial; None while it is missing."""
        return self.ranking.baseline(self.space.baseline)

    @cached_property
    def evidence(self) -> Evidence | None:
        """The strongest evidence for the winner, which every figure is taken from; None while there is no winner."""
        return evidence.strongest(self.ranking, self.space, self.hardware, self.confirmation)

    @cached_property
    def posterior(self) -> Posterior | None:
        """The posterior of the trials."""
        return evidence.posterior(self.ranking, self.space, self.hardware)

    def broken(self, result: TrialResult) -> list[str]:
        """The reasons for which a measured trial is not feasible, in words; none where it is feasible."""
        if result.feasible:
            return []
        own = [one.description for one in self.ranking.checks(result) if not one.satisfied]
        again = self.broken_again(result)
        return [*own, *([] if again is None else [again])] or ["it serves no rate of requests within the latency"]

    def broken_again(self, result: TrialResult) -> str | None:
        """The limit that a trial's configuration broke when the confirmation measured it again, in words."""
        finalists = () if self.confirmation is None else self.confirmation.finalists
        found = (one.broken for one in finalists if one.config == result.spec.config)
        return next((f"{broken} (when it was confirmed)" for broken in found if broken is not None), None)


def read(folder: Path) -> Study:
    """The study in a folder; StudyError names a file that cannot be read."""
    space, confirmation = store.space(folder), store.confirmation(folder)
    results = settled(table.counted(store.results(folder)), confirmation)
    return Study(
        folder=folder,
        space=space,
        hardware=store.hardware(folder),
        results=results,
        ranking=Ranking(results, space.goal),
        confirmation=confirmation,
        findings=store.findings(folder),
    )


def settled(results: list[TrialResult], confirmation: Confirmation | None) -> list[TrialResult]:
    """The results, those not feasible that broke a limit when the confirmation measured them again."""
    finalists = () if confirmation is None else confirmation.finalists
    broken = {one.config.key for one in finalists if one.broken is not None}
    return [msgspec.structs.replace(r, feasible=False) if r.spec.config.key in broken else r for r in results]
