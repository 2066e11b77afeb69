"""An Optuna storage that holds a study as it is at one moment, and nothing that anybody writes to it for longer."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Container, Sequence

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from autotune.analysis.metrics import METRICS
from autotune.report.dashboard import notes
from autotune.report.page.plots import failures, heat_map, path, rates
from autotune.report.text.study_reader import Study

PLOTS = {
    "path": (path, "From the baseline to the winner"),
    "rates": (rates, "Rate of every trial"),
    "heat-map": (heat_map, "Highest rate by batch size and layout"),
    "failures": (failures, "Failures by setting"),
}


class FrozenStorage(InMemoryStorage):
    """One study, number 0, whose trials come from elsewhere and have their numbers for ids."""

    def __init__(self, study: Study, trials: Sequence[FrozenTrial], problems: Sequence[str]) -> None:
        from optuna_dashboard import save_note, save_plotly_graph_object

        super().__init__()
        self.study, self.trials = study, trials
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        objectives = study.space.goal.objectives
        up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        directions = [up if METRICS[name].better == "higher" else down for name in objectives]
        shown = optuna.create_study(storage=self, study_name=" ".join(study.name.split()), directions=directions)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            shown.set_metric_names(list(objectives))
        save_note(shown, notes.overview(study, problems))
        for name, (plot, title) in PLOTS.items():
            figure = plot.figure(study)
            if figure is not None:
                figure.update_layout(title={"text": title}, height=440)
                save_plotly_graph_object(shown, figure, graph_object_id=name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials, or those in certain states."""
        found = [trial for trial in self.trials if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial; KeyError if there is none with that number."""
        if not 0 <= trial_id < len(self.trials):
            raise KeyError(f"there is no trial {trial_id}")
        return self.trials[trial_id]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The winner of the strongest evidence, else the trial nearest to keeping the limits."""
        complete = [trial.number for trial in self.trials if trial.state is TrialState.COMPLETE]
        if not complete:
            raise ValueError("no trial has been measured")
        found, best = self.study.evidence, self.study.ranking.best or self.study.ranking.nearest
        wanted = (found and found.trial, best and best.spec.id)
        return self.trials[next((number for number in wanted if number in complete), complete[0])]
