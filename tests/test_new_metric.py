"""A new metric is one entry: that of docs/plugins.md is added at run time, and everything else knows it."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from autotune.analysis import metrics
from autotune.analysis.metric import Metric
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.results import Block, Candidate, TrialResult
from autotune.core.rules import Correction
from autotune.core.space_types import Limit
from autotune.report.dashboard import notes
from autotune.report.export import best_of_study
from autotune.report.page import html
from autotune.report.text import dataframe, summary, table
from autotune.report.text.study_reader import Study
from autotune.space import json_schema
from autotune.space.load import load
from autotune.study.confirm import scores
from autotune.study.confirm.aggregate import Aggregate
from autotune.study.storage import store
from tests.report.folders import FAST, SPACE, keep
from tests.report.made import HW, PLAIN, config, confirmation, estimate, result, winner

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
NAME = "cores_used"
SPACE_FILE = """\
name: toy
workload: {model: 'torchvision:resnet18', inputs: [{shape: [batch, 3, 32, 32]}]}
objective: cores_used
constraints: {cores_used: {max: 1.9}}
search: {}
"""


@pytest.fixture(autouse=True)
def entry(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """The page's entry, registered for one test."""
    section = PAGE.read_text().partition("\n## A metric\n")[2].partition("\n## ")[0]
    (code,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    metric = eval(code, vars(metrics))  # as a line of metrics.py
    assert isinstance(metric, Metric) and metric.name == NAME
    monkeypatch.setitem(metrics.METRICS, NAME, metric)
    return metric


def blocks(cores: float) -> tuple[Block, ...]:
    """Three seconds, so many cores busy."""
    cpu_ns = int(cores * 10**9)
    return tuple(
        Block(number=i, start_ns=i, elapsed_ns=10**9, items=20.0 + i / 10, calls=1, cpu_ns=cpu_ns) for i in range(3)
    )


def trial(number: int, found: Config, cores: float) -> TrialResult:
    return result(number, found, blocks=blocks(cores), status="ok", error=None)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Trials that keep 1.5, 1 and 2 cores busy; at most 1.9 are allowed, and few are wanted."""
    space = msgspec.structs.replace(SPACE, objective=NAME, constraints=(Limit(metric=NAME, max=1.9),))
    trials = [trial(0, PLAIN, 1.5), trial(1, FAST, 1.0), trial(2, config("openvino", 4), 2.0)]
    settled = keep(tmp_path, trials, space=space).ranking
    return keep(tmp_path, [settled.settled(one) for one in trials], space=space)


def lines(study: Study) -> list[str]:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table.trials(study.folder, study.results, study.space))
    return console.export_text().splitlines()


def test_a_space_file_has_it_as_an_objective_and_a_limit(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE_FILE)
    goal = load(tmp_path / "space.yaml", HW).goal
    assert goal.objectives == (NAME,)
    assert goal.limits[0] == Limit(metric=NAME, max=1.9)


def test_the_schema_completes_it(entry: Metric) -> None:
    properties = json_schema.schema()["properties"]
    assert properties["constraints"]["properties"][NAME]["description"] == entry.description
    assert NAME in properties["objective"]["anyOf"][0]["enum"]


def test_the_search_minimises_it_within_its_limit(study: Study) -> None:
    assert [one.spec.id for one in study.ranking.order()] == [1, 0]
    assert study.ranking.values(study.results[1]) == (pytest.approx(1.0),)
    assert study.ranking.checks(study.results[2])[0].violation == pytest.approx(0.1 / 1.9)


def test_the_confirmation_compares_it_block_by_block_and_checks_its_limit() -> None:
    candidate = Candidate(config=FAST, blocks=blocks(2.0))
    assert scores.scores(candidate, NAME, Correction()) == pytest.approx([-math.log(2.0)] * 3)
    assert Aggregate(candidate, estimate(20.0), None, ()).metrics(None)[NAME] == pytest.approx(2.0)


def test_tables_and_reports_show_it(study: Study, entry: Metric) -> None:
    head, first = lines(study)[:2]
    assert NAME in head.split() and " 1.0 cores " in first
    assert dataframe.frame(study).set_index("trial")[NAME].tolist() == pytest.approx([1.5, 1.0, 2.0])
    assert f">{NAME}<" in re.sub(r"\s*([<>])\s*", r"\1", html.page(study))
    shown = notes.trial(study, study.results[2], {}).replace("\\", "")
    assert f"| {NAME} | 2.0 cores | {entry.description} |" in shown
    assert f"{NAME} is 2, allowed at most 1.9" in shown
    assert any(f"{NAME} 1.0 cores, the baseline's 1.5 cores" in line for line in summary.summary(study))


@pytest.mark.parametrize("confirmed", [False, True])
def test_best_json_has_it(study: Study, confirmed: bool) -> None:
    found = confirmation(winner(FAST, metrics={NAME: 1.0})) if confirmed else None
    best = best_of_study.best(study.folder, study.space, study.hardware, study.results, found)
    assert best is not None
    written = store.encode(best)
    assert msgspec.json.decode(written)["measured"]["metrics"][NAME] == 1.0
    assert msgspec.json.decode(written, type=Best) == best
