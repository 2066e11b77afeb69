from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from rich.console import Console

from autotune.cli.progress import Display
from autotune.core.results import Status
from autotune.core.space_types import Budget
from autotune.core.specs import InterleavedSpec
from tests.report.made import HW, PLAIN, config, result, winner
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


@pytest.fixture
def plain() -> Iterator[Screen]:
    screen = Screen(terminal=False, budget=BUDGET)
    with screen.display:
        yield screen


@pytest.fixture
def terminal() -> Iterator[Screen]:
    screen = Screen(terminal=True, budget=BUDGET, width=200)
    with screen.display:
        screen.new()
        yield screen


# -------------------------------------------------------------------------------------------------- not a terminal


def test_a_log_gets_one_line_a_trial(plain: Screen) -> None:
    slow = result(2, config(batch_size=2), rates=(4,), status=Status.REJECTED)
    for found in (BASE, result(1, FAST, rates=(40, 40)), slow, result(3, config(batch_size=4))):
        plain.display.started(found.spec)
        plain.display.measured(found.spec, found.blocks or BASE.blocks)
        plain.display.ended(found)
    plain.display.stop()
    assert plain.new().splitlines() == [
        "search: ends early once nothing more is to be gained; at most 12 trials or 10 min 00 s",
        "   1/12  torch_eager contiguous float32, batch 1, 1x2  10.0/s ±0.0 %  1.00x",
        "   2/12  onnxruntime float32, batch 8, 1x2  40.0/s ±0.0 %  4.00x",
        "   3/12  torch_eager contiguous float32, batch 2, 1x2  4.00/s (slow)  0.40x",
        "   4/12  torch_eager contiguous float32, batch 4, 1x2  crashed  it broke (trial 3)",
    ]


def test_a_log_says_what_is_prepared_as_it_is(plain: Screen) -> None:
    long = "a model [red]of[/red] /a/path/with/:x:/" + "words " * 30
    plain.display.preparing(long)
    assert plain.new() == f"         preparing {long}\n"


def test_lines_of_a_log_are_not_wrapped(plain: Screen) -> None:
    plain.display.ended(result(0, error="because " * 40))
    assert plain.new().count("\n") == 1


def test_a_log_says_whom_it_waits_for_and_what_is_confirmed(plain: Screen) -> None:
    plain.display.waiting("process 7 (python -m autotune --name [red]x[/red])")
    plain.display.confirming("confirming 4 configurations against each other " + "words " * 30, 95)
    plain.display.interleaving(RUN, 0)
    assert [line.rstrip() for line in plain.new().splitlines()] == [
        "waiting for process 7 (python -m autotune --name [red]x[/red]), which measures on this machine; "
        "your minutes have not begun",
        f"confirming 4 configurations against each other {'words ' * 30}, at most 1 min 35 s",
    ]


def test_the_first_claim_is_a_line_of_its_own(plain: Screen) -> None:
    plain.display.claimed(winner(FAST))
    plain.display.claimed(msgspec.structs.replace(winner(FAST), ratio=None))
    what = "onnxruntime float32, batch 8, 1x2; the search goes on"
    assert plain.new().splitlines() == [f"confirmed so far: 4.00x (3.90 to 4.10), {what}", f"confirmed so far: {what}"]


def test_only_what_begins_to_be_measured_counts_as_work(plain: Screen) -> None:
    plain.display.notice("trial 1 cannot run here any more; it is left out")
    assert plain.new() == "trial 1 cannot run here any more; it is left out\n"
    assert not plain.display.worked
    plain.display.confirming("confirming 2 configurations against each other", 60)
    assert plain.display.worked


@pytest.mark.parametrize("options", [{"term": "dumb"}, {"force_interactive": False}])
def test_where_nothing_can_be_redrawn_nothing_is(options: dict[str, Any]) -> None:
    screen = Screen(terminal=True, budget=BUDGET, **options)
    with screen.display:
        screen.display.started(BASE.spec)
        screen.display.preparing("a model")
        screen.display.measured(BASE.spec, BASE.blocks)
        screen.display.ended(BASE)
    assert re.sub(r"\x1b\[[0-9;]*m", "", screen.new()).splitlines() == [
        "search: ends early once nothing more is to be gained; at most 12 trials or 10 min 00 s",
        "         preparing a model",
        "   1/12  torch_eager contiguous float32, batch 1, 1x2  10.0/s ±0.0 %  1.00x",
    ]


# ------------------------------------------------------------------------------------------------------ a terminal


def test_a_terminal_shows_the_running_trial_and_the_standing(terminal: Screen) -> None:
    terminal.display.started(BASE.spec)
    first = terminal.new()
    assert "   1/12" in first and "torch_eager contiguous float32, batch 1, 1x2" in first and "loading" in first
    assert "search: trial 1, ends early once nothing more is to be gained; at most 12 trials or 10 min 00 s" in first
    assert "0 s so far" in first and "best" not in first and "failed" not in first
    terminal.display.measured(BASE.spec, BASE.blocks)
    assert "10.0/s ±0.0 %" in terminal.new()
    terminal.display.preparing("a model")
    assert "preparing a model" in terminal.new()
    terminal.display.ended(BASE)
    terminal.display.ended(result(1, config(batch_size=4)))
    terminal.new()
    terminal.display.started(result(2, FAST).spec)
    shown = terminal.new()
    assert "   3/12" in shown
    assert (
        "best by its window torch_eager contiguous float32, batch 1, 1x2 10.0/s ±0.0 % 1.00x  ·  1 failed  ·" in shown
    )


def test_a_terminal_shows_the_round_of_a_confirmation(terminal: Screen) -> None:
    terminal.display.ended(BASE)
    terminal.display.ended(result(1, FAST, rates=(40, 40)))
    terminal.new()
    terminal.display.confirming("confirming 2 configurations against each other", 60, claims=True)
    shown = terminal.new()
    assert "confirming 2 configurations against each other, at most 1 min 00 s\n" in shown
    assert "confirmation: starting, at most 1 min 00 s left" in shown
    terminal.display.interleaving(RUN, 0)
    shown = terminal.new()
    assert "interleaved run 3: round 1 of 5, 2 configurations in turn" in shown
    assert "confirmation: interleaved run 3 of 3 to 6, about 1 min 00 s left" in shown
    assert "best by its window onnxruntime float32, batch 8, 1x2 40.0/s ±0.0 % 4.00x" in shown
    terminal.display.interleaving(RUN, 4)
    assert "round 5 of 5" in terminal.new()


def test_without_minutes_the_terminal_counts_up() -> None:
    screen = Screen(terminal=True, budget=Budget(), width=200)
    with screen.display:
        screen.display.resume([], 65)
        screen.display.started(BASE.spec)
    shown = screen.new()
    assert "   1\x1b[0m  torch_eager" in shown and "1 min 05 s so far" in shown


def test_a_new_best_is_green_and_a_failure_red(terminal: Screen) -> None:
    green, red = "\x1b[1;32m", "\x1b[31m"
    terminal.display.ended(BASE)
    assert f"{green}10.0/s" in terminal.new()
    terminal.display.ended(result(1, config(batch_size=2), rates=(9, 9)))
    text = terminal.new()
    assert "9.00/s" in text and green not in text and red not in text
    terminal.display.ended(result(2, config(batch_size=4)))
    assert f"{red}crashed" in terminal.new()


def test_nothing_is_drawn_unless_told(terminal: Screen) -> None:
    assert not [thread for thread in threading.enumerate() if "refresh" in type(thread).__name__.lower()]
    terminal.display.started(BASE.spec)
    assert terminal.new()
    time.sleep(0.4)
    assert terminal.new() == ""


def test_stopping_takes_the_running_trial_away_for_good(terminal: Screen) -> None:
    terminal.display.started(BASE.spec)
    terminal.new()
    terminal.display.stop()
    assert terminal.new().endswith("\x1b[1A\x1b[2K" * 2)  # both lines are erased and the cursor is where they were
    terminal.display.started(BASE.spec)
    terminal.display.measured(BASE.spec, BASE.blocks)
    terminal.display.stop()
    assert terminal.new() == ""


def test_the_cursor_comes_back_after_an_error() -> None:
    screen = Screen(terminal=True, budget=BUDGET)
    with pytest.raises(RuntimeError), screen.display:
        screen.display.started(BASE.spec)
        assert "\x1b[?25l" in screen.new()
        raise RuntimeError
    assert "\x1b[?25h" in screen.new()


# -------------------------------------------------------------------------------------------------------- counting


def test_a_study_that_goes_on_counts_on(terminal: Screen) -> None:
    terminal.display.resume([BASE, result(1, FAST, rates=(40, 40))], 61)
    terminal.display.started(result(2, config(batch_size=2)).spec)
    shown = terminal.new()
    assert "   3/12" in shown and "best by its window onnxruntime" in shown and "or 8 min 59 s" in shown
    terminal.display.ended(result(2, config(batch_size=2), rates=(20, 20)))
    assert "2.00x" in terminal.new()


def test_the_time_left_is_never_negative(terminal: Screen) -> None:
    terminal.display.resume([], 3600)
    terminal.display.started(BASE.spec)
    assert "or 0 s" in terminal.new()


def test_a_baseline_that_failed_is_measured_again_in_its_place(plain: Screen) -> None:
    plain.display.resume([result(0)], 5)
    plain.display.ended(result(1, rates=(10, 10)))
    plain.display.ended(result(2, FAST, rates=(40, 40)))
    assert [line.split()[0] for line in plain.new().splitlines()] == ["1/12", "2/12"]


def test_a_trial_that_was_cut_short_does_not_count(plain: Screen) -> None:
    cut = msgspec.structs.replace(result(1, FAST), status=Status.INTERRUPTED)
    for found in (BASE, cut, result(2, FAST, rates=(40, 40))):
        plain.display.ended(found)
    assert [line.split()[0] for line in plain.new().splitlines()] == ["1/12", "2/12", "2/12"]


def test_a_baseline_that_was_disturbed_is_measured_again_in_its_place(plain: Screen) -> None:
    plain.display.ended(BASE)
    plain.display.ended(result(1, FAST, rates=(40, 40)))
    plain.display.ended(result(2, rates=(20, 20)))
    assert [line.split()[0] for line in plain.new().splitlines()] == ["1/12", "2/12", "1/12"]


def test_what_is_expected_of_the_confirmation_is_shown_with_the_search(terminal: Screen) -> None:
    terminal.display.reserved(200, None)
    terminal.display.started(BASE.spec)
    assert "at most 12 trials or 6 min 40 s; then at most 3 min 20 s of confirmation" in terminal.new()
    terminal.display.reserved(90, 90)
    terminal.display.started(BASE.spec)
    assert "at most 12 trials or 8 min 30 s; then at most 1 min 30 s of confirmation" in terminal.new()


def test_the_bar_is_that_of_the_phase(terminal: Screen) -> None:
    full = "\u2501" * 24
    terminal.display.resume([], 3600)
    terminal.display.started(BASE.spec)
    assert f"38;5;70m{full}" in terminal.new()
    terminal.display.confirming("confirming", 60, claims=True)
    assert f"38;5;237m{full}" in terminal.new()


def test_after_the_first_claim_the_phase_is_the_search_again(terminal: Screen) -> None:
    terminal.display.ended(BASE)
    terminal.display.confirming("confirming", 60, claims=True)
    terminal.new()
    terminal.display.claimed(winner(FAST))
    assert "confirmed so far: " in terminal.new()
    terminal.display.started(result(1, config(batch_size=2)).spec)
    shown = terminal.new()
    assert "search: trial 2, ends early" in shown and "confirmation:" not in shown
