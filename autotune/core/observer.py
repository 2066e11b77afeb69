"""The events of a study, for whoever shows its progress."""

from __future__ import annotations

from autotune.core.results import Block, TrialResult
from autotune.core.specs import InterleavedSpec, TrialSpec


class Observer:
    """Receives the events of a study and ignores them all; a display overrides those that it shows.

    Called only while nothing is measured, so that it may draw.
    """

    def waiting(self, holder: str) -> None:
        """Another process measures on this machine; it is waited for."""

    def started(self, spec: TrialSpec) -> None:
        """A trial begins."""

    def preparing(self, what: str) -> None:
        """An artifact is being made, which may take a minute."""

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        """A block was measured; all blocks of the trial so far."""

    def ended(self, result: TrialResult) -> None:
        """A trial has its result, already on disk."""

    def reserved(self, seconds: float, predicted_s: float | None) -> None:
        """The search leaves so much of the budget to the confirmation, which is predicted to take so long."""

    def confirming(self, what: str, seconds: float, claims: bool = False) -> None:
        """A part of the confirmation begins, of about so many seconds at most; a claim rests on one that `claims`."""

    def notice(self, line: str) -> None:
        """A line for the user; nothing begins to be measured."""

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        """Round `number` of an interleaved run begins."""
