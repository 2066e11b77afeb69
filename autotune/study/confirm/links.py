"""Links: what has few runs with the baseline is compared, and claimed, by way of a configuration that has a claim."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from autotune.core.rules import ConfirmRules
from autotune.study.confirm.names import BASELINE
from autotune.study.confirm.scores import ScoreTable
from autotune.study.confirm.standing import needed_runs


@dataclass(frozen=True)
class Links:
    """The links that the runs give, by names of candidates; none where there are `several` objectives.

    `direct` has the scores of the runs with the baseline, `leads` those of all.
    """

    direct: ScoreTable
    leads: ScoreTable
    rules: ConfirmRules
    several: bool

    def indirect(self, name: str) -> bool:
        """True if a gain over the baseline is by way of others.

        That is where no run has both; or where few have, one that was measured with each has more, and the few agree.
        """
        count = self.direct.counts(name, BASELINE)[0]
        if not count or self.several:
            return not count
        return self.leads.link(name, BASELINE) is not None and self.leads.agrees(name, BASELINE)

    def linked(self, name: str) -> bool:
        """True if one is claimed by way of another: enough runs have both, and one with the baseline agrees."""
        checked = self.direct.counts(name, BASELINE)[0] > 0 and self.indirect(name)
        return checked and any(self._often(name, link) for link in self._claimed - self.stale)

    @cached_property
    def stale(self) -> frozenset[str]:
        """Those whose claim counts no more: later runs with the baseline, of one linked to it, say otherwise."""
        return frozenset(link for link in self._claimed if any(self._refuted(link, name) for name in self.leads.logs))

    @cached_property
    def _claimed(self) -> frozenset[str]:
        """Those with a gain for sure and the runs of a claim with the baseline, finalists or not."""
        if self.several:
            return frozenset()
        gains = {name: self.direct.difference(name, BASELINE) for name in self.direct.logs if name != BASELINE}
        able = {name: gain for name, gain in gains.items() if gain.low is not None and gain.low > 0}
        counts = {name: self.direct.counts(name, BASELINE)[0] for name in able}
        return frozenset(name for name, gain in able.items() if counts[name] >= needed_runs([gain], self.rules))

    def _often(self, name: str, link: str) -> bool:
        return self.leads.counts(name, link)[0] >= self.rules.runs

    def _refuted(self, link: str, name: str) -> bool:
        """True if the baseline has changed since the link was measured with it, as later runs of this one say."""
        if name in (link, BASELINE) or not self._often(name, link):
            return False
        later, earlier = self.leads.together(name, BASELINE), self.leads.together(link, BASELINE)
        return bool(later) and later[0] > earlier[-1] and not self.leads.agrees(name, BASELINE)
