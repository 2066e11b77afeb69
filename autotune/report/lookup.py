"""Studies by their names, and trials of them by their numbers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.core.best import Best
from autotune.core.errors import StudyError, did_you_mean
from autotune.core.results import Status
from autotune.report.export import best_of_study
from autotune.report.text import dataframe, study_reader
from autotune.report.text.study_reader import Study
from autotune.study.storage import store

if TYPE_CHECKING:
    import pandas as pd


def best(study: Study, number: int | None) -> Best:
    """A study's winner, or another of its trials, as `best.json` has it; StudyError where there is none."""
    where, space, hw, ranking = study.folder, study.space, study.hardware, study.ranking
    if number is None:
        found = best_of_study.best(where, space, hw, study.results, study.confirmation)
    else:
        chosen = next((result for result in study.results if result.spec.id == number), None)
        if chosen is None or chosen.status is not Status.OK:
            known = ", ".join(str(result.spec.id) for result in ranking.order()[:5])
            why = "is not one of this study" if chosen is None else _unpicked(chosen.status)
            raise StudyError(f"trial {number} {why}; the best ones are: {known or 'none'}")
        found = best_of_study.trial(where, space, hw, ranking, chosen)
    if found is None:
        raise StudyError(f"the study {where} has nothing to export: no trial keeps the limits, or no baseline")
    return found


def broken(study: Study, number: int) -> list[str]:
    """The reasons for which a trial of the study is not feasible, in words; none where it is feasible."""
    return next(study.broken(result) for result in study.results if result.spec.id == number)


def trials(study: str | os.PathLike[str], studies: str | os.PathLike[str] = "studies") -> pd.DataFrame:
    """A study's trials, one row each: their settings and metrics by name; StudyError where there is no such study.

    `dataframe.frame` describes the columns.
    """
    return dataframe.frame(find(os.fspath(study), Path(studies)))


def find(study: str, studies: Path) -> Study:
    """The study that STUDY means, read; StudyError as `folder`."""
    return study_reader.read(folder(study, studies))


def folder(study: str, studies: Path) -> Path:
    """The folder that STUDY means: it, or a name under `studies`, of which a beginning that only one has is enough.

    StudyError with the names that begin so, or the nearest ones.
    """
    for place in (Path(study), studies / study):
        if store.exists(place):
            return place
    known = sorted(path.parent.name for path in studies.glob("*/domains.json"))
    meant = [name for name in known if study and name.startswith(study)]
    if len(meant) == 1:
        return studies / meant[0]
    if meant:
        raise StudyError(f"{study!r} begins the names of several studies: {', '.join(meant)}; give more of one")
    hint = did_you_mean(study, known) if known else f"; there is none in {studies}/"
    raise StudyError(f"no study {study!r}{hint}")


def _unpicked(status: Status) -> str:
    """Why a trial that was not measured to its end cannot be exported."""
    return "was given up as slow" if status is Status.REJECTED else f"was not measured ({status})"
