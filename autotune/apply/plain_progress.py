"""Watching what takes long where no study's display is drawn."""

from __future__ import annotations

from collections.abc import Callable

from autotune.core.observer import Observer
from autotune.core.specs import InterleavedSpec


class PlainProgress(Observer):
    """An Observer that says in a line what it waits for, prepares and begins to measure."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def waiting(self, holder: str) -> None:
        """Say for whom we wait."""
        self.say(f"waiting for {holder}, which measures on this machine")

    def preparing(self, what: str) -> None:
        """Say what is being made."""
        self.say(f"preparing {what}")

    def confirming(self, what: str, seconds: float, claims: bool = False) -> None:
        """Say what begins."""
        self.say(what)

    def notice(self, line: str) -> None:
        """Say the line."""
        self.say(line)

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        """Say it once for all rounds."""
        if number == 0:
            self.say(f"interleaved run {spec.number}: {spec.rounds} rounds of {' and '.join(spec.configs)} in turn")
