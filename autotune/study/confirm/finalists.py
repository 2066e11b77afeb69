"""The finalists: the best configurations of the search, and the baseline that they are compared with."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules
from autotune.core.space_types import Space
from autotune.space import configs
from autotune.study import evidence
from autotune.study.confirm import names
from autotune.study.confirm.names import BASELINE
from autotune.study.model import posterior as posteriors
from autotune.study.ranking import Ranking


@dataclass(frozen=True)
class Finalists:
    """Trials by the name of their candidate, the best first; the baseline is the last unless it is a best one.

    `unavailable` says which better ones are not among them since they cannot run here any more, in a line each.
    """

    trials: Mapping[str, TrialResult]
    unavailable: tuple[str, ...] = ()

    @property
    def leader(self) -> str:
        """The name of the search's best."""
        return next(iter(self.trials))

    @property
    def repeat(self) -> str:
        """The name of the candidate that has the leader's configuration a second time."""
        return names.repeat(self.leader)

    @property
    def configs(self) -> dict[str, Config]:
        """The configurations to measure by name, the leader's twice."""
        found = {name: trial.spec.config for name, trial in self.trials.items()}
        return found | {self.repeat: found[self.leader]}


def choose(
    ranking: Ranking,
    space: Space,
    rules: ConfirmRules,
    hw: Hardware,
    excluded: Container[str] = (),
    claimed: str | None = None,
) -> Finalists:
    """The best configurations and the baseline, each once.

    The best are those of the posterior: the best of many windows is flattered. Those that as likely as not differ by no
    more than matters count as one, the simplest of them; one is compared even if all are of the baseline's kind. A
    front of several objectives is taken as it is. Passed over are those whose key is among the excluded, and those that
    cannot run here any more: their interpreter or a package was removed.
    """
    baseline = space.baseline
    base = ranking.baseline(baseline)
    assert base is not None
    unavailable: dict[str, str] = {}
    able: dict[str, TrialResult] = {}
    for result in ranking.order():
        key = result.spec.config.key
        if key in able or key in unavailable or key in excluded:
            continue
        if reason := configs.unavailable(result.spec.config, hw):
            unavailable[key] = f"trial {result.spec.id} cannot run here any more: {reason}"
        else:
            able[key] = result
    known = evidence.posterior(ranking, space, hw)
    candidates = list(able.values())
    if known is None:
        best = candidates[: rules.finalists]
    else:
        best = posteriors.kinds(candidates, known, baseline, rules.finalists, rules.delta)
        others = [one for one in candidates if one.spec.config != baseline]
        if others and [one.spec.config for one in best] == [baseline]:
            best = posteriors.kinds(others, known, baseline, 1, rules.delta)
    if claimed in able and able[claimed] not in best:
        best.append(able[claimed])
    chosen = {_name(result, baseline): result for result in best} | {BASELINE: base}
    return Finalists(chosen, tuple(unavailable.values()))


def _name(result: TrialResult, baseline: Config) -> str:
    return BASELINE if result.spec.config == baseline else names.of_trial(result.spec.id)
