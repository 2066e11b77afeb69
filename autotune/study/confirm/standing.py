"""The standing of a finalist after the interleaved runs: its gains, its distance to the leader, its claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autotune.analysis import stats
from autotune.analysis.constraints import ConstraintCheck
from autotune.core.confirmation import Finalist, Verdict
from autotune.core.estimate import Estimate
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules
from autotune.study.confirm.names import BASELINE


@dataclass(frozen=True)
class Standing:
    """A finalist after the interleaved runs; differences are log ratios of which more is better.

    `gains` are over the baseline by each objective, on `runs` runs by the first one. Where these are few they are
    `indirect`: by way of another. `linked` is true if that has a claim of its own and as many runs with it as a claim
    needs at least, and a run with the baseline does not refute it. `stale` is true if a later run refuted one that was
    linked to it. `behind` is the leader's lead over it, None for the leader itself. `remains` is true if it may still
    win.
    """

    name: str
    trial: TrialResult
    gains: tuple[Estimate, ...]
    runs: int
    error: str | None
    violation: ConstraintCheck | None
    remains: bool
    behind: Estimate | None = None
    verdict: Verdict | None = None
    indirect: bool = False
    linked: bool = False
    stale: bool = False

    @property
    def measured(self) -> bool:
        """True if it was measured, together with the baseline or with others that were."""
        return not math.isnan(self.gains[0].estimate)

    def may_win(self, rules: ConfirmRules) -> bool:
        """True if it is not shown to differ from the leader, and seems behind by a quarter of what matters at most."""
        able = self.error is None and self.violation is None and self.measured
        equal = self.verdict == "tie" or (self.verdict == "undecided" and self._behind <= rules.delta / 4)
        return able and equal and (self.remains or self.has_claim(rules))

    def has_claim(self, rules: ConfirmRules) -> bool:
        """True if it has the runs of a claim, or those that link it to another's."""
        return self.linked or (self.runs >= self.needed_runs(rules) and not self.stale)

    def needed_runs(self, rules: ConfirmRules) -> int:
        """The runs of a claim; the baseline, which gains nothing, needs all."""
        return rules.sure_runs if self.name == BASELINE else needed_runs(self.gains, rules)

    @property
    def _behind(self) -> float:
        return math.inf if self.behind is None or math.isnan(self.behind.estimate) else self.behind.estimate

    def summary(self, objectives: Sequence[str]) -> Finalist:
        """The same as it is written down; ratios by objective only where there are several."""
        ratios = {
            objective: stats.from_logs(gain)
            for objective, gain in zip(objectives, self.gains, strict=True)
            if not math.isnan(gain.estimate)
        }
        behind = self.behind if self.measured else None
        return Finalist(
            trial=self.trial.spec.id,
            config=self.trial.spec.config,
            ratio=ratios.get(objectives[0]),
            indirect=self.measured and self.indirect,
            verdict=self.verdict if self.measured else None,
            behind=None if behind is None else stats.from_logs(behind),
            error=self.error,
            ratios=ratios if len(objectives) > 1 else {},
            broken=None if self.violation is None else self.violation.description,
        )


def needed_runs(gains: Iterable[Estimate], rules: ConfirmRules) -> int:
    """The runs of a claim: the fewest if its gains, as logarithms, are known well enough by then."""
    return rules.runs if all(narrow(gain, rules) for gain in gains) else rules.sure_runs


def narrow(gain: Estimate, rules: ConfirmRules) -> bool:
    """True if a gain, as a logarithm, is known well enough for a claim from the fewest runs."""
    if gain.low is None or gain.high is None:
        return False
    return (gain.high - gain.low) / 2 <= max(rules.narrow * gain.estimate, rules.narrowest)
