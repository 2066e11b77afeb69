"""A display with what it writes, and what it is told of."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console

from autotune.cli.progress import Display
from autotune.core.space_types import Budget
from autotune.core.specs import InterleavedSpec
from tests.report.made import HW, PLAIN, config, result
from tests.study.fakes import resolved

FAST = config("onnxruntime", 8)
BASE = result(0, rates=(10, 10))
SPACE = resolved(HW)
RUN = InterleavedSpec(
    number=3,
    workload=BASE.spec.workload,
    configs={"baseline": PLAIN, "trial-1": FAST},
    rounds=5,
    order="",
    folder="confirmation/finalists/0003",
)


class Screen:
    """A display and what it wrote."""

    def __init__(
        self, *, terminal: bool, budget: Budget, width: int = 80, term: str = "xterm-256color", **options: bool
    ) -> None:
        self.file = io.StringIO()
        environ = {"TERM": term, "LINES": "24"}
        console = Console(file=self.file, force_terminal=terminal, width=width, _environ=environ, **options)
        self.display = Display(console, msgspec.structs.replace(SPACE, budget=budget))

    def new(self) -> str:
        """The text written since the last look."""
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return text


BUDGET = Budget(trials=12, minutes=10)
