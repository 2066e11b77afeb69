"""The display of a running study: a line for each finished trial, and on a terminal the running one below.

Drawn only when told, between blocks: rich's own refreshing would cost 7 % of a core.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autotune.analysis import stats
from autotune.cli.phase import Part, Search
from autotune.core.confirmation import Winner
from autotune.core.observer import Observer
from autotune.core.results import Block, TrialResult
from autotune.core.space_types import Space
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.report.text import formatting
from autotune.study.ranking import CONFIDENCE, Ranking
from autotune.study.search import outcome

BAR = 24
"""The width of the progress bar in characters."""


class Display(Observer):
    """An Observer that prints."""

    def __init__(self, console: Console, space: Space, settles: bool = True) -> None:
        """`settles` is true of a search that may end before its budget is used up."""
        self.console = console
        self.budget = space.budget
        self.search = Search(space.budget, settles)
        self.part: Part | None = None
        self.running: TrialSpec | None = None
        self.baseline = space.baseline
        self.goal = space.goal
        self.results: list[TrialResult] = []
        self.ranking = Ranking([], self.goal)
        self.begin = time.monotonic()
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_interactive else None
        self.worked = False
        """True once anything began to be measured."""
        self.has_claim = False
        self.said: tuple[bool, bool] | None = None
        """Whether there was a prediction, and a claim, when a log was last told about the search."""

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

    def reserved(self, seconds: float, predicted_s: float | None) -> None:
        """Show from now on what the search leaves to the confirmation, and what that is predicted to take."""
        self.search.reserved_s, self.search.predicted_s = seconds, predicted_s

    @property
    def elapsed_s(self) -> float:
        """The seconds of the study so far, earlier runs included."""
        return time.monotonic() - self.begin

    def waiting(self, holder: str) -> None:
        """Say for whom we wait."""
        said = f"waiting for {holder}, which measures on this machine; your minutes have not begun"
        self.console.print(Text(said), soft_wrap=True)

    def started(self, spec: TrialSpec) -> None:
        """Show the configuration that begins; in a log, the search's line before the first and whenever it changed."""
        news = self.search.predicted_s is not None, self.has_claim
        if news != self.said and not self.live:
            self.notice(self.search.line("", self.elapsed_s))
        self.said = news
        self.worked = True
        self.part = None
        self.running = spec
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
        position = self._position(result.spec)
        again = result.spec.config == self.baseline and self.ranking.baseline(self.baseline) is not None
        self.results.append(result)
        self.ranking = ranking = Ranking(self.results, self.goal)
        base = ranking.baseline(self.baseline)
        speedup = "again" if again else formatting.speedup(ranking, result, base)
        style = "bold green" if ranking.best is result else "red" if not result.blocks else ""
        text = Text.assemble(
            (position, "dim"),
            f"  {formatting.configuration(result.spec.config)}  ",
            (formatting.outcome(ranking, result), style),
            f"  {speedup}{formatting.objectives(ranking, result)}"
            if result.blocks
            else f"  {result.error} (trial {result.spec.id})",
        )
        self.console.print(text, soft_wrap=True)

    def _doing(self, spec: TrialSpec, what: str) -> Text:
        return Text.assemble(
            (self._position(spec), "dim"),
            f"  {formatting.configuration(spec.config)}  ",
            (what, "cyan"),
        )

    def _position(self, spec: TrialSpec) -> str:
        """The running trial's place in the budget; a baseline that is measured again keeps its own."""
        return f"{self._place(spec):>4}{self._total}"

    def _place(self, spec: TrialSpec) -> int:
        known = list(outcome.completed(self.results, self.baseline))
        key = spec.config.key
        return 1 + (known.index(key) if key in known else len(known))

    @property
    def _total(self) -> str:
        return "" if self.budget.trials is None else f"/{self.budget.trials}"

    def _show(self, line: Text) -> None:
        """Draw the line, the standing, and the phase with how much of it is done."""
        if not self.live:
            return
        phase, done = self._phase()
        row = Table.grid(padding=(0, 1))
        row.add_row(*([] if done is None else [ProgressBar(total=1.0, completed=done, width=BAR)]), Text(phase))
        self.live.update(Group(line, self._standing(), row), refresh=True)

    def _phase(self) -> tuple[str, float | None]:
        if self.part is not None:
            now = time.monotonic()
            return self.part.line(now), self.part.done(now)
        place = "" if self.running is None else f"{self._place(self.running)}"
        done = len(outcome.completed(self.results, self.baseline))
        return self.search.line(place, self.elapsed_s), self.search.done(done, self.elapsed_s)

    def _standing(self) -> Text:
        """Best so far, failures, the time so far."""
        parts = []
        ranking = self.ranking
        if (best := ranking.best) is not None:
            base = ranking.baseline(self.baseline)
            window = f"{formatting.rate(ranking.interval(best))} {formatting.speedup(ranking, best, base)}"
            parts.append(f"best by its window {formatting.configuration(best.spec.config)} {window}")
        if failures := sum(not result.blocks for result in self.results):
            parts.append(f"{failures} failed")
        parts.append(f"{formatting.duration(self.elapsed_s)} so far")
        return Text("  ·  ".join(parts), style="dim")

    def confirming(self, what: str, seconds: float, claims: bool = False) -> None:
        """Say which part of the confirmation begins, and how long it may take: for a claim it may go on after that."""
        self.worked = True
        self.part = Part(time.monotonic(), seconds, claims)
        within = f"up to about {formatting.duration(seconds)}" if seconds > 0 else "in what is left of the time"
        self.notice(f"{what}, {within}")
        self._show(Text(f"      {what}", style="cyan"))

    def claimed(self, winner: Winner) -> None:
        """Print the first claim."""
        self.has_claim = True
        figure = "" if winner.ratio is None else f"{formatting.ratio(winner.ratio)}, "
        self.notice(f"confirmed so far: {figure}{formatting.configuration(winner.config)}; the search goes on")

    def notice(self, line: str) -> None:
        """Print the line."""
        self.console.print(Text(line), soft_wrap=True)

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        """Show where the confirmation is."""
        assert self.part is not None
        self.part.reach(spec, number)
        rounds = f"round {number + 1} of {spec.rounds}, {len(spec.configs)} configurations in turn"
        self._show(Text(f"      interleaved run {self.part.run}: {rounds}", style="cyan"))
