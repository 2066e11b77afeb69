"""The display where nothing can be redrawn: a line for each thing that happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from autotune.core.results import Status
from tests.cli.screen import BASE, BUDGET, FAST, RUN, Screen
from tests.report.made import config, result, winner


@pytest.fixture
def plain() -> Iterator[Screen]:
    screen = Screen(terminal=False, budget=BUDGET)
    with screen.display:
        yield screen


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
        f"confirming 4 configurations against each other {'words ' * 30}, up to about 1 min 35 s",
    ]


def test_a_claim_that_goes_on_after_its_time_says_so(plain: Screen) -> None:
    plain.display.confirming("confirming the best of them against the baseline", 0.0, claims=True)
    assert plain.new() == "confirming the best of them against the baseline, in what is left of the time\n"


def test_a_log_says_again_what_the_search_may_take_once_that_is_predicted_and_after_a_claim(plain: Screen) -> None:
    def told() -> list[str]:
        plain.display.started(BASE.spec)
        return [line.partition("; ")[2] for line in plain.new().splitlines() if line.startswith("search: ")]

    plain.display.reserved(300, None)
    trials = "at most 12 trials or"
    kept = "are kept for the confirmation"
    assert told() == [f"{trials} 5 min 00 s; at least 5 min 00 s {kept} until its time is predicted"]
    assert told() == []
    plain.display.reserved(200, 200)
    assert told() == [f"{trials} 6 min 40 s; at least 3 min 20 s {kept}"]
    plain.display.reserved(190, 190)
    assert told() == []
    plain.display.claimed(winner(FAST))
    plain.display.reserved(120, 120)
    assert told() == [f"{trials} 8 min 00 s; at least 2 min 00 s {kept}"]
    assert told() == []


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
    lines = plain.new().splitlines()
    assert [line.split()[0] for line in lines] == ["1/12", "2/12", "1/12"]
    assert lines[0].endswith("  1.00x") and lines[2].endswith("  again")
