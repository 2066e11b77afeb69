from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from autotune.core.errors import SpaceError
from autotune.core.space_types import Limit, Space
from autotune.space import goal_section
from autotune.space import load as loading
from autotune.space.goal_section import ANSWERS
from tests.study.fakes import machine

HW = msgspec.structs.replace(machine(), instance_type="c7i.xlarge")
HEAD = """\
name: toy
workload:
  model: torchvision:resnet18
  inputs: [{shape: [batch, 3, 32, 32]}]
search: {}
"""
COMMAND = "name: toy\nworkload: {model: 'command:echo'}\nsearch: {}\n"
PRICES = "currency: USD\ndate: '2026-11-01'\nper_hour: {c7i.xlarge: 0.18, c8g.xlarge: 0.16}\n"


def load(folder: Path, text: str, head: str = HEAD, **changes: object) -> Space:
    """The space with these lines on the machine with these changes; the first of them is the sixth of the file."""
    (folder / "space.yaml").write_text(head + text)
    return loading.load(folder / "space.yaml", msgspec.structs.replace(HW, **changes))


def refusal(folder: Path, text: str, head: str = HEAD) -> str:
    with pytest.raises(SpaceError) as caught:
        load(folder, text, head)
    return str(caught.value).replace(f"{folder}/", "")


# --------------------------------------------------------------------------------------------------------- objectives


@pytest.mark.parametrize(
    ("written", "objectives"),
    [
        ("", ("throughput",)),
        ("objective: latency_p99_ms\n", ("latency_p99_ms",)),
        ("objective: [throughput]\n", ("throughput",)),
        ("objective: [throughput, peak_rss_bytes]\n", ("throughput", "peak_rss_bytes")),
    ],
)
def test_one_objective_or_several(tmp_path: Path, written: str, objectives: tuple[str, ...]) -> None:
    assert load(tmp_path, written).goal.objectives == objectives


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("objective: speed\n", "unknown objective 'speed' in space.yaml, line 6"),
        ("objective: troughput\n", "unknown objective 'troughput' in space.yaml, line 6; did you mean 'throughput'?"),
        ("objective: accuracy\n", "accuracy cannot be an objective in space.yaml, line 6; write it under constraints"),
        ("objective: []\n", "objective is an empty list in space.yaml, line 6; write one metric or several"),
        ("objective: [setup_s, setup_s]\n", "objective has setup_s twice in space.yaml, line 6; write each once"),
        ("objective: served_rate\n", "served_rate is never measured here in space.yaml, line 6: workload.serving"),
        ("objective: energy_j_per_sample\n", "this machine's energy counters (RAPL) cannot be read"),
        ("objective: cost_per_million\n", "there is no price for c7i.xlarge; list it in a file that `prices` names"),
    ],
)
def test_an_objective_that_cannot_be(tmp_path: Path, written: str, message: str) -> None:
    assert message in refusal(tmp_path, written)


def test_energy_is_an_objective_where_it_can_be_read(tmp_path: Path) -> None:
    found = load(tmp_path, "objective: energy_j_per_sample\n", energy=True)
    assert found.goal.objectives == ("energy_j_per_sample",)


# --------------------------------------------------------------------------------------------------------- constraints


def test_limits_are_as_written_and_answers_are_limited_in_any_case(tmp_path: Path) -> None:
    found = load(tmp_path, "constraints: {latency_p99_ms: {max: 250}, throughput: {min: 10, max: 1e3}}\n")
    assert found.goal.limits == (
        Limit(metric="latency_p99_ms", max=250.0),
        Limit(metric="throughput", min=10.0, max=1000.0),
        *ANSWERS,
    )
    assert load(tmp_path, "").goal.limits == ANSWERS
    own = load(tmp_path, "constraints: {centred_error: {max: 0.5}}\n").goal.limits
    assert own == (Limit(metric="centred_error", max=0.5), *ANSWERS[1:])
    assert goal_section.written(own) == [own[0]]
    assert goal_section.written((goal_section.FORMER, *ANSWERS)) == []


def test_a_limit_may_refuse_what_cannot_be_judged(tmp_path: Path) -> None:
    found = load(tmp_path, "constraints: {cosine_similarity: {min: 0.99, unjudged: reject}}\n")
    assert found.goal.limits[0] == Limit(metric="cosine_similarity", min=0.99, unjudged="reject")
    found = load(tmp_path, "constraints: {cosine_similarity: {min: 0.99, unjudged: accept}}\n")
    assert found.goal.limits[0] == Limit(metric="cosine_similarity", min=0.99)


def test_the_answers_of_a_command_are_not_limited(tmp_path: Path) -> None:
    assert load(tmp_path, "", COMMAND).goal.limits == ()
    text = "constraints: {cosine_similarity: {min: 0.9}}\n"
    assert "the answers of a command are not seen" in refusal(tmp_path, text, COMMAND)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("latency_p98_ms: {max: 1}", "unknown metric 'latency_p98_ms' in space.yaml, line 7; did you mean"),
        ("latency_p99_ms: 250", "constraints.latency_p99_ms is 250 in space.yaml, line 7; write such as {max: 250}"),
        ("latency_p99_ms: {max: 1, unjudged: refuse}", "unjudged is 'refuse' in space.yaml, line 7; write accept or"),
        ("latency_p99_ms: {unjudged: reject}", "latency_p99_ms has neither min nor max in space.yaml, line 7"),
        ("latency_p99_ms: {}", "write such as {max: 250} or {min: 0.99}"),
        ("latency_p99_ms: {most: 250}", "unknown key 'most'"),
        ("latency_p99_ms: {max: fast}", "line 7"),
        ("latency_p99_ms: {min: 300, max: 200}", "asks for at least 300 and at most 200 in space.yaml, line 7"),
        ("accuracy_drop: {max: 0.01}", "accuracy_drop is never measured here in space.yaml, line 7: workload.data"),
        ("cost_per_million: {max: 1}", "there is no price for c7i.xlarge"),
        ("latency_p99_ms: {max: -5}", "asks for at most -5 in space.yaml, line 7; it is never below 0"),
        ("peak_rss_bytes: {max: -1}", "asks for at most -1 in space.yaml, line 7; it is never below 0"),
        ("top1_agreement: {min: 1.5}", "asks for at least 1.5 in space.yaml, line 7; it is never above 1"),
        ("cosine_similarity: {max: -2}", "asks for at most -2 in space.yaml, line 7; it is never below -1"),
        (
            "{latency_p50_ms: {min: 300}, latency_p99_ms: {max: 200}}",
            "latency_p99_ms is to be at most 200 and latency_p50_ms at least 300 in space.yaml, line 7; a higher",
        ),
    ],
)
def test_a_limit_that_cannot_be(tmp_path: Path, written: str, message: str) -> None:
    assert message in refusal(tmp_path, f"constraints:\n  {written}\n")


# -------------------------------------------------------------------------------------------------------- percentages

DATA = HEAD.replace("  inputs: [{shape: [batch, 3, 32, 32]}]\n", "  data: {source: DATA, metric: METRIC}\n")


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_an_accuracy_above_one_is_asked_of_no_metric_of_ours(tmp_path: Path, metric: str) -> None:
    np.savez(tmp_path / "data.npz", images=np.ones((20, 3, 32, 32), np.float32), labels=np.zeros(20, int))
    (tmp_path / "own.py").write_text("def score(outputs, labels):\n    return labels * 100.0\n")
    text = "constraints:\n  accuracy: {min: 95}\n"

    def head(metric: str) -> str:
        return DATA.replace("DATA", f"{tmp_path}/data.npz").replace("METRIC", f"'{metric}'")

    assert "constraints.accuracy asks for at least 95 in space.yaml, line 7; it is never above 1" in refusal(
        tmp_path, text, head(metric)
    )
    assert load(tmp_path, text, head(f"{tmp_path}/own.py:score")).goal.limits[0].min == 95


def test_a_rate_of_requests_is_limited_only_where_it_is_the_objective(tmp_path: Path) -> None:
    head = HEAD.replace("search:", "  serving: {latency_p99_ms: 100}\nsearch:")
    text = "constraints:\n  served_rate: {min: 5}\n"
    assert "only confirmed where it is the objective in space.yaml, line 8; write objective: served_rate" in refusal(
        tmp_path, text, head
    )
    found = load(tmp_path, f"{text}objective: served_rate\n", head)
    assert found.goal.limits[0] == Limit(metric="served_rate", min=5.0)
