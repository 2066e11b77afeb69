"""The display on a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from autotune.core.space_types import Budget
from tests.cli.screen import BASE, BUDGET, FAST, RUN, Screen
from tests.report.made import config, result, winner


@pytest.fixture
def terminal() -> Iterator[Screen]:
    screen = Screen(terminal=True, budget=BUDGET, width=200)
    with screen.display:
        screen.new()
        yield screen


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
    assert "confirming 2 configurations against each other, up to about 1 min 00 s\n" in shown
    assert "confirmation: starting, up to about 1 min 00 s left" in shown
    terminal.display.interleaving(RUN, 0)
    shown = terminal.new()
    assert "interleaved run 1: round 1 of 5, 2 configurations in turn" in shown
    assert "confirmation: interleaved run 1, up to about 1 min 00 s left" in shown
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


def test_what_is_expected_of_the_confirmation_is_shown_with_the_search(terminal: Screen) -> None:
    terminal.display.reserved(200, None)
    terminal.display.started(BASE.spec)
    assert "at most 12 trials or 6 min 40 s; at least 3 min 20 s are kept for the confirmation until" in terminal.new()
    terminal.display.reserved(90, 90)
    terminal.display.started(BASE.spec)
    assert "at most 12 trials or 8 min 30 s; at least 1 min 30 s are kept for the confirmation" in terminal.new()


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
