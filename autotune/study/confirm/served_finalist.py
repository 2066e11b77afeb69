"""A finalist that serves requests: the rates that it was asked for, and the one that it kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from autotune.core.results import Probe, Served, Sustained, TrialResult
from autotune.study.confirm.names import BASELINE

LOWER = 0.9
"""A rate that was not kept is followed by so much of it."""


@dataclass
class ServedFinalist:
    """A finalist and what became of each rate of requests (a second) that it was asked for, in order."""

    name: str
    trial: TrialResult
    tried: list[Sustained] = field(default_factory=list)

    @property
    def is_baseline(self) -> bool:
        """True for the baseline."""
        return self.name == BASELINE

    @property
    def searched_rate(self) -> float:
        """The rate that the search found; 0 where it found none."""
        return 0.0 if self.trial.served is None else self.trial.served.rate

    @property
    def next_rate(self) -> float:
        """The rate to ask for next: the one that the search found, less a part for each that was not kept."""
        return self.searched_rate * LOWER ** len(self.tried)

    @property
    def kept(self) -> Probe | None:
        """The requests of the rate that it kept; None where there is none."""
        return next((one.probe for one in reversed(self.tried) if one.probe is not None and one.probe.kept), None)

    @property
    def kept_rate(self) -> float:
        """The rate that it kept; 0 where there is none."""
        return 0.0 if self.kept is None else self.kept.rate

    @property
    def finished(self) -> bool:
        """True if no further rate is to be tried: it kept one, or failed."""
        return self.kept is not None or any(one.error is not None for one in self.tried)

    @property
    def result(self) -> TrialResult:
        """The trial with what the workers that kept the rate showed in place of its own."""
        if self.kept is None:
            return self.trial
        last = self.tried[-1]
        shown = {
            key: value
            for key in ("setup_s", "peak_rss_bytes", "fidelity", "accuracy")
            if (value := getattr(last, key)) is not None
        }
        if last.versions:
            shown["versions"] = last.versions
        return msgspec.structs.replace(self.trial, served=Served(rate=self.kept.rate, probes=(self.kept,)), **shown)

    def outcome(self, could_win: bool) -> str:
        """The outcome in words; `could_win` says why no further rate was tried."""
        if self.kept is not None:
            return f"kept {self.kept.rate:.4g} requests a second for {self.kept.seconds:.0f} s"
        if self.searched_rate == 0:
            return "the search found no rate of requests that it keeps"
        rate = f"{self.next_rate:.4g} requests a second"
        why = f"no time for {rate}" if could_win else f"{rate} cannot win"
        if not self.tried:
            return f"not tried: {why}"
        return f"did not keep {self.next_rate / LOWER:.4g} requests a second; {why}"
