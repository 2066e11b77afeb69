"""The display of a running study: a line for each finished trial, and on a terminal the running one below.

Drawn only when told, between blocks: rich's own refreshing would cost 7 % of a core.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from autotune.analysis import stats
from autotune.core.observer import Observer
from autotune.core.results import Block, TrialResult
from autotune.core.space_types import Space
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.report.text import formatting
from autotune.study.ranking import CONFIDENCE, Ranking
from autotune.study.search import outcome


class Display(Observer):
    """An Observer that prints."""

    def __init__(self, console: Console, space: Space) -> None:
        self.console = console
        self.budget = space.budget
        self.baseline = space.baseline
        self.goal = space.goal
        self.results: list[TrialResult] = []
        self.ranking = Ranking([], self.goal)
        self.begin = time.monotonic()
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_interactive else None
        self.worked = False
        """True once anything began to be measured."""

    def __enter__(self) -> Display:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the running trial's lines away, for good."""
        if self.live:
            self.live.stop()
            self.live = None

    def resume(self, results: list[TrialResult], elapsed_s: float) -> None:
        """Go on counting from what earlier runs of the study left."""
        self.results = list(results)
        self.ranking = Ranking(self.results, self.goal)
        self.begin = time.monotonic() - elapsed_s

    def waiting(self, holder: str) -> None:
        """Say for whom we wait."""
        said = f"waiting for {holder}, which measures on this machine; your minutes have not begun"
        self.console.print(Text(said), soft_wrap=True)

    def started(self, spec: TrialSpec) -> None:
        """Show the configuration that begins."""
        self.worked = True
        self._show(self._doing(spec, "loading"))

    def preparing(self, what: str) -> None:
        """Show what is being made; as a line where nothing can be redrawn, since it may take a minute."""
        if self.live:
            self._show(Text(f"preparing {what}", style="cyan"))
        else:
            self.console.print(Text(f"         preparing {what}"), soft_wrap=True)

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        """Show the rate so far."""
        estimate = stats.interval([block.rate for block in blocks], CONFIDENCE)
        self._show(self._doing(spec, formatting.rate(estimate)))

    def ended(self, result: TrialResult) -> None:
        """Print the trial's line."""
        position = self._position()
        self.results.append(result)
        self.ranking = ranking = Ranking(self.results, self.goal)
        base = ranking.baseline(self.baseline)
        style = "bold green" if ranking.best is result else "red" if not result.blocks else ""
        text = Text.assemble(
            (position, "dim"),
            f"  {formatting.configuration(result.spec.config)}  ",
            (formatting.outcome(ranking, result), style),
            f"  {formatting.speedup(ranking, result, base)}{formatting.objectives(ranking, result)}"
            if result.blocks
            else f"  {result.error} (trial {result.spec.id})",
        )
        self.console.print(text, soft_wrap=True)

    def _doing(self, spec: TrialSpec, what: str) -> Text:
        return Text.assemble(
            (self._position(), "dim"),
            f"  {formatting.configuration(spec.config)}  ",
            (what, "cyan"),
        )

    def _position(self) -> str:
        """The running trial's place in the budget; a baseline that failed is measured again in the same place."""
        number = len(outcome.completed(self.results, self.baseline)) + 1
        total = "" if self.budget.trials is None else f"/{self.budget.trials}"
        return f"{number:>4}{total}"

    def _show(self, line: Text) -> None:
        if not self.live:
            return
        self.live.update(Text("\n").join([line, self._standing()]), refresh=True)

    def _standing(self) -> Text:
        """Best so far, failures, time left."""
        parts = []
        ranking = self.ranking
        if (best := ranking.best) is not None:
            base = ranking.baseline(self.baseline)
            rate = formatting.rate(ranking.interval(best))
            parts.append(
                f"best {formatting.configuration(best.spec.config)} {rate} {formatting.speedup(ranking, best, base)}"
            )
        if failures := sum(not result.blocks for result in self.results):
            parts.append(f"{failures} failed")
        elapsed_s = time.monotonic() - self.begin
        if self.budget.minutes is not None:
            parts.append(f"{formatting.duration(max(0.0, self.budget.minutes * 60 - elapsed_s))} left")
        else:
            parts.append(f"{formatting.duration(elapsed_s)} so far")
        return Text("  ·  ".join(parts), style="dim")

    def confirming(self, what: str) -> None:
        """Say which part of the confirmation begins."""
        self.worked = True
        self.notice(what)

    def notice(self, line: str) -> None:
        """Print the line."""
        self.console.print(Text(line), soft_wrap=True)

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        """Show where the confirmation is."""
        rounds = f"round {number + 1} of {spec.rounds}, {len(spec.configs)} configurations in turn"
        self._show(Text(f"      interleaved run {spec.number}: {rounds}", style="cyan"))
