"""How replayed searches are played and judged (`benchmarks/search.py`, `competitors.py`, `regret.py`, `curves.py`)."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autotune.core.struct import Value

sys.path.append(str(Path(__file__).parents[1]))

import competitors
import curves
import regret
import search
import stopping
from regret import Run
from replay import External, Outcome, key

GRID = {
    "tune_params_keys": ["x", "y"],
    "tune_params": {"x": [1, 2, 3], "y": [1, 2, 3]},
    "cache": {
        f"{x},{y}": {"x": x, "y": y, "time": 10.0 / x / y, "times": [10.0 / x / y] * 32}
        | {"compile_time": 1000.0, "benchmark_time": 0.0, "framework_time": 0.0}
        for x in (1, 2, 3)
        for y in (1, 2, 3)
        if (x, y) != (2, 2)
    },
}
SPACE = External("grid", GRID)


class Fixed:
    """A search that tries these points."""

    def __init__(self, *points: dict[str, Value]) -> None:
        self.points = list(points)
        self.told: list[Outcome] = []

    def ask(self) -> dict[str, Value] | None:
        return self.points.pop(0) if self.points else None

    def tell(self, outcome: Outcome) -> None:
        self.told.append(outcome)


def test_a_run_has_the_clock_and_the_truth_of_the_best_so_far() -> None:
    refused: dict[str, Value] = {"x": 2, "y": 2}
    found = Fixed(refused, {"x": 1, "y": 1}, {"x": 3, "y": 3}, {"x": 1, "y": 2})
    run = search.play(SPACE, found, random.Random(0), 80)
    assert run.seconds == (0.0, 1.0, 2.0, 3.0)
    assert run.regrets == (None, pytest.approx(math.log(9)), 0.0, 0.0)
    assert run.percent == (100.0, pytest.approx(100 * 8 / 9), 0.0, 0.0)
    assert run.reached_s == 2.0
    assert [outcome.rate is None for outcome in found.told] == [True, False, False, False]


@pytest.mark.parametrize("name", [name for name in competitors.COMPETITORS if name != "gp"])  # which imports torch
def test_a_competitor_begins_with_what_comes_first_and_searches_on(name: str) -> None:
    if name == "smac":
        pytest.importorskip("smac")
    asked: list[dict[str, Value]] = []
    dice = random.Random(0)
    with competitors.searcher(name, SPACE, ({"x": 1, "y": 3}, {"x": 2, "y": 2}), 1, 20) as found:
        while len(asked) < 20 and (point := found.ask()) is not None:
            asked.append(point)
            found.tell(SPACE.trial(point, None, dice, set()))
    assert asked[:2] == [{"x": 1, "y": 3}, {"x": 2, "y": 2}]
    distinct = len({key(point) for point in asked})
    if name == "hand":  # both other values of x beside the best, then what is new beside the best of those
        assert asked[2:] == [{"x": 2, "y": 3}, {"x": 3, "y": 3}, {"x": 3, "y": 1}, {"x": 3, "y": 2}]
    elif name in ("former", competitors.OURS):
        assert distinct == len(asked) == 9  # all there are, none twice
    elif name == "smac":  # it proposes nothing twice, but of what comes first
        assert distinct == 9
    else:
        assert len(asked) == 20 > distinct


def run(reached_s: float, end_s: float = 100.0) -> Run:
    """A search that finds the best at a time, or never."""
    if math.isinf(reached_s):
        return Run(seconds=(1.0, end_s), regrets=(1.0, 1.0))
    return Run(seconds=(1.0, reached_s, end_s), regrets=(1.0, 0.0, 0.0))


def test_the_ratio_of_median_times_has_an_interval_that_knows_what_was_not_reached() -> None:
    ours = {seed: run(10.0 + seed % 3) for seed in range(30)}
    theirs = {seed: run(40.0 + seed % 3) for seed in range(30)}
    found = regret.ratio(ours, theirs)
    assert found.estimate == pytest.approx(11 / 41) and not found.bound
    assert 10 / 42 <= found.low <= found.estimate <= found.high <= 12 / 40
    assert not regret.worse(ours, theirs) and regret.worse(theirs, ours)
    never = {seed: run(math.inf) for seed in range(30)}
    against = regret.ratio(ours, never)
    assert against.bound and against.estimate == pytest.approx(11 / 100)
    assert str(regret.ratio(never, ours)) == "not reached"
    assert regret.worse(never, ours) and not regret.worse(never, never) and not regret.worse(ours, never)


def test_the_page_names_each_competitor_and_what_does_not_hold() -> None:
    found = {"random": {seed: run(10.0) for seed in range(5)}, "autotune": {seed: run(90.0) for seed in range(5)}}
    runs = {("grid", False): found}
    text = regret.page(runs, {"grid": SPACE})
    assert "| random | 0.0 | 0.0 | 0.0 | 0.0 | 10 | 5 of 5 | 9.00 (9.00 to 9.00) |" in text
    assert "8 configurations run and keep the limits, 1 of them within 5% of the best" in text
    assert "**not passed**: grid: not worse than random search (time over its 9.00 (9.00 to 9.00), wanted ≤ 1)" in text
    assert not regret.judged(runs)


def test_what_was_not_compared_often_enough_is_not_passed() -> None:
    def runs(count: int, *others: str) -> regret.Runs:
        found = {name: {seed: run(90.0) for seed in range(count)} for name in others}
        return {("grid", False): {**found, "autotune": {seed: run(9.0) for seed in range(count)}}}

    assert regret.judged(runs(regret.SEEDS, "random", "tpe"))
    assert not regret.judged(runs(regret.SEEDS - 1, "random", "tpe"))
    assert not regret.judged(runs(regret.SEEDS, "random"))


def test_the_plot_is_svg_with_a_line_for_each_competitor() -> None:
    found = {"random": {seed: run(10.0) for seed in range(5)}, "hand": {0: run(math.inf, end_s=50.0)}}
    root = ElementTree.fromstring(curves.drawn({("a<b", False): found, ("a<b", True): found}))
    assert [one.text for one in root.iter() if one.get("font-weight") == "bold"] == ["a<b", "a<b, recipes first"]
    assert len([one for one in root.iter() if one.tag.endswith("polyline")]) == 4
    assert curves.median_regrets([run(10.0), run(20.0), run(30.0)], [0.5, 5.0, 20.0, 30.0]) == pytest.approx(
        [100.0, 100 * (1 - math.exp(-1)), 0.0, 0.0]
    )


def test_runs_are_kept_and_a_page_is_written_between_its_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "loaded", lambda name: SPACE)
    monkeypatch.setattr(search, "digest", lambda name: "0")
    tasks = list(search.planned(["grid"], ["random", "hand"], 2))
    seeds = [search.FIRST_SEED, search.FIRST_SEED + 1]
    assert [(task.seed, task.competitor) for task in tasks] == [
        (one, who) for one in seeds for who in ("random", "hand")
    ]
    for task in tasks:
        search.keep(task, tmp_path)
    runs = search.kept(tasks, tmp_path)
    assert {name: list(found) for name, found in runs["grid", False].items()} == {"random": seeds, "hand": seeds}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{search.BEGIN}\nold\n{search.END}\nafter\n")
    search.write(page, "new", "<svg/>")
    shown = "![Median regret against simulated time](page.svg)"
    assert page.read_text() == f"before\n{search.BEGIN}\n\n{shown}\n\nnew\n\n{search.END}\nafter\n"
    assert (tmp_path / "page.svg").read_text() == "<svg/>"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks the line"):
        search.write(page, "new", "<svg/>")


def test_a_search_without_a_budget_ends_where_the_driver_ends_it() -> None:
    flat = {key: value for key, value in GRID.items() if key != "cache"} | {"tune_params": {"x": list(range(1, 41))}}
    flat |= {"tune_params_keys": ["x"], "cache": {str(x): {**GRID["cache"]["1,1"], "x": x} for x in range(1, 41)}}
    reason, run = stopping.stopped(External("flat", flat), seed=1)
    assert reason == "settled"
    assert 5 < len(run.seconds) < 40
    reason, run = stopping.stopped(SPACE, seed=1)
    assert reason in ("exhausted", "settled")
    assert run.regrets[-1] == 0.0
