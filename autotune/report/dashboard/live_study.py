"""A study's folder as Optuna trials; only what is new is read, and only when somebody asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from autotune.core.config import Config
from autotune.core.confirmation import Confirmation
from autotune.core.errors import StudyError
from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.report.dashboard import notes
from autotune.report.dashboard.artifact_files import ArtifactFiles
from autotune.report.dashboard.optuna_storage import FrozenStorage
from autotune.report.text import settings, table
from autotune.report.text.markdown import literal
from autotune.report.text.study_reader import Study, settled
from autotune.study.ranking import Ranking
from autotune.study.search import ask_tell
from autotune.study.storage import store

ERROR_LENGTH = 200
STATES = {Status.OK: TrialState.COMPLETE, Status.REJECTED: TrialState.PRUNED}
T = TypeVar("T")


class LiveStudy:
    """A study as it was when somebody asked last; StudyError if the folder holds none that can be read.

    A trial keeps the rate that it was first seen with, as in Optuna's own storage: what is learnt of the machine's
    drift later changes the rates of the trials that come later. Another confirmation makes all trials anew: it may have
    found that some break a limit. What cannot be read is told, and asked for again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.space, self.hardware = store.space(folder), store.hardware(folder)
        self.files = ArtifactFiles()
        self.study = Study(folder, self.space, self.hardware, [], Ranking([], self.space.goal), None)
        self.trials: list[FrozenTrial] = []
        self._axes = {
            name: CategoricalDistribution(values)
            for name, values in settings.of_domains(self.space.domains).items()
            if len(values) > 1
        }
        self._results: dict[int, TrialResult] = {}
        self._problems: dict[str, str] = {}
        self._notes: dict[int, str] = {}
        self._state: object = None

    def refresh(self) -> bool:
        """Look into the folder; True if something is new."""
        self._problems = {}
        begun = store.numbers(self.folder)
        fresh = self._fresh(begun)
        running = begun[-1] if begun and begun[-1] not in self._results else None
        spec = None if running is None else self._read("the running trial", partial(store.spec, self.folder, running))
        confirmation = self._read("the confirmation", partial(store.confirmation, self.folder))
        state = (begun[-1:], running, spec, confirmation, self._problems)
        changed = bool(fresh) or state != self._state
        if changed:
            self._state = state
            self._show(begun, fresh, confirmation)
            if running is not None:
                self.trials[running] = self._running(running, spec)
        return changed

    def snapshot(self) -> FrozenStorage:
        """The study as an Optuna storage."""
        return FrozenStorage(self.study, self.trials, list(self._problems.values()))

    def note(self, number: int) -> str:
        """The note of a trial, in Markdown."""
        if number not in self._notes:
            self._notes[number] = self._note(number)
        return self._notes[number]

    # ------------------------------------------------------------------------------------------------------ reading

    def _fresh(self, begun: list[int]) -> list[TrialResult]:
        """The results that are new; the last known one too, if its word on the limits was added since."""
        last = max(self._results, default=-1)
        fresh = []
        for number in begun:
            if number not in self._results or number == last:
                found = self._read(f"trial {number}", partial(store.result, self.folder, number))
                if found is not None and found != self._results.get(number):
                    self._results[number] = found
                    fresh.append(found)
        return fresh

    def _read(self, what: str, read: Callable[[], T | None]) -> T | None:
        try:
            return read()
        except StudyError as error:
            self._problems[what] = str(error)
            return None

    # ------------------------------------------------------------------------------------------------------ showing

    def _show(self, begun: list[int], fresh: list[TrialResult], confirmation: Confirmation | None) -> None:
        results = table.counted([self._results[number] for number in sorted(self._results)])
        results = settled(results, confirmation)
        ranking = Ranking(results, self.space.goal)
        if confirmation != self.study.confirmation:
            fresh = list(self._results.values())
        self._notes = {}  # the winner's says so, and another trial may be the winner now
        self.study = Study(self.folder, self.space, self.hardware, results, ranking, confirmation)
        # Numbers without a folder are proposals that were not run.
        new = range(len(self.trials), max([*begun, *self._results], default=-1) + 1)
        self.trials = [*self.trials, *(_trial(number, TrialState.FAIL) for number in new)]
        for result in settled(fresh, confirmation):
            self.trials[result.spec.id] = self._ended(result)
        for number in sorted({*new, *(result.spec.id for result in fresh)}):
            # A page takes what has no time for a thing of today.
            if number and self.trials[number].datetime_start is None:
                then = self.trials[number - 1].datetime_complete
                self.trials[number].datetime_start = self.trials[number].datetime_complete = then

    def _ended(self, result: TrialResult) -> FrozenTrial:
        ranking, state = self.study.ranking, STATES.get(result.status, TrialState.FAIL)
        values = ranking.values(result) if state is TrialState.COMPLETE and result.blocks else None
        if values is None and state is TrialState.COMPLETE:
            state = TrialState.FAIL
        began = _local(datetime.fromisoformat(result.started)) if result.started else None
        found = _trial(result.spec.id, state, began, began and began + timedelta(seconds=result.wall_s))
        self._place(found, result.spec.config)
        found.values = values
        found.user_attrs = self._attributes(result)
        found.system_attrs = dict(map(self.files.attribute, self._attach(result)))
        if result.blocks:
            violations = [one.violation for one in ranking.checks(result)]
            # The last says whether it counts at all: a limit may have been broken only when it was confirmed.
            limits = [*violations, 0.0 if result.feasible else 1.0]
            found.system_attrs["constraints"] = [min(max(one, -ask_tell.MOST), ask_tell.MOST) for one in limits]
        return found

    def _running(self, number: int, spec: TrialSpec | None) -> FrozenTrial:
        began = (self.folder / store.trial_folder(number)).stat().st_mtime
        found = _trial(number, TrialState.RUNNING, _local(datetime.fromtimestamp(began, UTC)))
        if spec is not None:
            self._place(found, spec.config)
        return found

    def _place(self, trial: FrozenTrial, config: Config) -> None:
        """Give a trial its parameters; the baseline's may lie outside what is searched."""
        for name, value in settings.of_config(config).items():
            if name in self._axes:
                if value not in self._axes[name].choices:
                    self._axes[name] = CategoricalDistribution((*self._axes[name].choices, value))
                trial.params[name] = value
                trial.distributions[name] = self._axes[name]

    def _attach(self, result: TrialResult) -> list[str]:
        """The names of a trial's artifacts: its result, and what a failure left to read."""
        folder = self.folder / result.spec.folder
        log = folder / "stderr.log"
        said = not result.blocks and log.exists() and log.stat().st_size > 0
        return [self.files.add(path) for path in (folder / "result.json", *([log] if said else []))]

    def _attributes(self, result: TrialResult) -> dict[str, str | float]:
        """The values by which the page's table of trials can be sorted."""
        found: dict[str, str | float] = {"status": str(result.status)}
        if result.error:
            found["error"] = " ".join(result.error.split())[:ERROR_LENGTH]
        if result.blocks:
            ranking, base = self.study.ranking, self.study.baseline
            known = ranking.known(result)
            if base is not None:
                known["speedup_of_window"] = ranking.ratio(result, base).estimate
            objectives = self.space.goal.objectives
            found |= {name: float(f"{value:.4g}") for name, value in known.items() if name not in objectives}
        return found

    def _note(self, number: int) -> str:
        trial, result = self.trials[number], self._results.get(number)
        if result is None:
            problem = self._problems.get(f"trial {number}")
            running = notes.RUNNING if trial.state is TrialState.RUNNING else notes.NOT_RUN
            return running if problem is None else literal(problem)
        names = [key.partition(":")[2] for key in trial.system_attrs if key.startswith("artifacts:")]
        links = {self.files.paths[name].name: f"/artifacts/0/{number}/{name}" for name in names}
        return notes.trial(self.study, result, links)


def _trial(number: int, state: TrialState, began: datetime | None = None, ended: datetime | None = None) -> FrozenTrial:
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        datetime_start=began,
        datetime_complete=ended,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _local(moment: datetime) -> datetime:
    """As Optuna has it: local time that does not say so."""
    return moment.astimezone().replace(tzinfo=None)
