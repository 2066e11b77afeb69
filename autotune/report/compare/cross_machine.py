"""Performance of one machine's best configuration on another machine, where both studies measured it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.results import Candidate, InterleavedRun, TrialResult
from autotune.core.rules import ConfirmRules
from autotune.report.compare.comparison_types import Crossing
from autotune.report.text.study_reader import Study
from autotune.space import configs
from autotune.study import evidence, versions
from autotune.study.confirm import paired_comparison, scores
from autotune.study.storage import store

NOT_MEASURED = "not measured there"
OTHER_VERSIONS = "with other package versions than the best there"
PAIR = THEIRS, OURS = "theirs", "ours"


def crossings(studies: Mapping[str, Study], best: Mapping[str, Config]) -> tuple[Crossing, ...]:
    """Every study's best configuration on every other one's machine; `best` is by the study's name."""
    return tuple(
        _crossing(tuned_on, config, measured_on, studies[measured_on], there)
        for tuned_on, config in best.items()
        for measured_on, there in best.items()
        if tuned_on != measured_on
    )


def _crossing(tuned_on: str, config: Config, measured_on: str, study: Study, best: Config) -> Crossing:
    found = Crossing(tuned_on=tuned_on, measured_on=measured_on)
    if config == best:
        confirmed = study.evidence is not None and study.evidence.level == "confirmed"
        same = Estimate(estimate=1.0, low=None, high=None)
        return msgspec.structs.replace(found, ratio=same, confirmed=confirmed, remark="the best there, too")
    trial = _trial(study, config)
    remark = "breaks a limit there" if trial is not None and trial.blocks and not trial.feasible else None
    confirmed_ratio = _in_turn(study, config, best)
    if confirmed_ratio is not None:
        return msgspec.structs.replace(found, ratio=confirmed_ratio, confirmed=True, remark=remark)
    reference = _reference(study, best)
    if trial is None or reference is None:
        return msgspec.structs.replace(found, remark=NOT_MEASURED)
    if not trial.blocks:
        return msgspec.structs.replace(found, remark=f"failed there: {trial.status.replace('_', ' ')}")
    if versions.outdated([trial, reference]):
        remark = OTHER_VERSIONS if remark is None else f"{remark}, {OTHER_VERSIONS}"
    ratio = evidence.ratio(trial, reference, study.ranking, study.posterior)
    return msgspec.structs.replace(found, ratio=ratio, remark=remark)


def _trial(study: Study, config: Config) -> TrialResult | None:
    """The trial of a configuration, one that was measured before one that failed."""
    found = [result for result in study.results if result.spec.config == config]
    return next((result for result in found if result.blocks), found[0] if found else None)


def _reference(study: Study, best: Config) -> TrialResult | None:
    """The trial of the best configuration or, where none measured just that, of the finalist it was made from."""
    trial = _trial(study, best)
    if trial is not None:
        return trial if trial.blocks else None
    finalists = () if study.confirmation is None else study.confirmation.finalists
    leading = next((one.trial for one in finalists if one.leads), None)
    return next((result for result in study.results if result.spec.id == leading and result.blocks), None)


def _in_turn(study: Study, config: Config, best: Config) -> Estimate | None:
    """The ratio over the interleaved runs in which both were measured; None where there is none.

    Only runs with the package versions of the latest one are pooled.
    """
    paths = sorted((study.folder / paired_comparison.FOLDER).glob(f"*/*/{paired_comparison.FILE}"))
    runs = [_of_two(store.decode(path, InterleavedRun), config, best) for path in paths]
    both = [run for run in runs if all(name in run.candidates and run.candidates[name].blocks for name in PAIR)]
    if not both:
        return None
    latest = _versions(max(both, key=lambda run: run.started))
    same = [run for run in both if _versions(run) == latest]
    confidence, objective = ConfirmRules().confidence, study.space.goal.objectives[0]
    return scores.table(same, PAIR, confidence, objective).ratio(THEIRS, OURS)


def _versions(run: InterleavedRun) -> list[dict[str, str]]:
    return [versions.counted(run.candidates[name].versions) for name in PAIR]


def _of_two(run: InterleavedRun, config: Config, best: Config) -> InterleavedRun:
    """The interleaved run with these two under the same names in every comparison."""
    names: dict[str, Candidate] = {}
    for name, candidate in run.candidates.items():
        held = configs.completed(candidate.config)
        names.setdefault(THEIRS if held == config else OURS if held == best else name, candidate)
    return msgspec.structs.replace(run, candidates=names)
