from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from autotune.core.space_types import Limit
from autotune.report.compare import render
from autotune.report.compare.comparison_types import Comparison
from autotune.report.compare.groups import compare
from autotune.report.text import formatting
from tests.report.folders import FAST, HOSTILE, SPACE
from tests.report.made import config, confirmation, result, winner
from tests.report.tuned import prices, study, timed

RESULTS = (timed(result(0, rates=(10, 10)), 50.0), timed(result(1, FAST, rates=(40, 40), peak_rss_bytes=2**29), 20.0))


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """One that is confirmed, and one that is not and has no price."""
    one = study(tmp_path / "one", RESULTS, confirmation(winner(FAST, trial=1)))
    slow = timed(result(2, config("openvino", 4), rates=(50, 50)), 10.0)
    two = study(tmp_path / "two", [*RESULTS, slow], kind="toy.small")
    return compare([one, two], prices(tmp_path, toy_large=0.36))


def printed(found: Comparison, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=False, width=width, highlight=False, markup=False, emoji=False)
    console.print(render.renderable(found))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def cells(line: str) -> list[str]:
    return re.split(r"  +", line.strip())


def test_a_terminal_has_a_line_a_study(found: Comparison) -> None:
    lines = printed(found)
    assert lines[0] == "torchvision:resnet18: the best by throughput"
    rate, gain = found.groups[0].rows[1].throughput, found.groups[0].rows[1].ratio
    assert rate is not None and gain is not None
    head, one, two = (cells(line) for line in lines[1:4])
    assert head[:4] == ["study", "instance type", "rate", "speed-up"]
    assert head[4:] == ["latency", "memory", "cost per million", "configuration"]
    assert one[:4] == ["one", "toy.large", "40.0/s ±2.0 %", "4.00x (3.90 to 4.10)"]
    assert one[4:] == ["0 KiB", "2.50 USD", "onnxruntime float32, batch 8, 1x2"]
    assert two[:4] == ["two", "toy.small", f"{formatting.rate(rate)}*", f"{formatting.ratio(gain)}*"]
    assert two[4:] == ["p99 20.0 ms", "openvino float32, batch 4, 1x2"]
    assert "two: from the search alone: not confirmed" in lines
    assert any(line.startswith("two: no price for toy.small in ") for line in lines)
    assert "speed-up: over the baseline of the same machine" in lines
    assert lines.count(render.UNCONFIRMED) == 3


def test_a_terminal_has_what_a_winner_loses_elsewhere(found: Comparison) -> None:
    lines = printed(found)
    ratio = found.groups[0].crossings[0].ratio
    assert ratio is not None and 0.7 < ratio.estimate < 0.9
    at = lines.index("What a winner loses on the other machines")
    assert [cells(line) for line in lines[at + 1 : at + 4]] == [
        ["the best of", "on one", "on two"],
        ["one", "its own", f"{formatting.ratio(ratio)}*"],
        ["two", "not measured there", "its own"],
    ]


def test_a_terminal_has_the_front(found: Comparison) -> None:
    lines = printed(found)
    at = next(place for place, line in enumerate(lines) if line.startswith("Cost against latency"))
    assert cells(lines[at + 1]) == ["cost per million", "latency", "study", "trial", "configuration"]
    assert cells(lines[at + 2])[:4] == ["10.0 USD", "p99 100.0 ms*", "one", "0"]
    assert lines[at + 3] == "of 1 configurations, by latency_p99_ms; 1 others made too few calls for it"


def test_no_figure_is_cut_however_long_a_name(tmp_path: Path) -> None:
    studies = [study(tmp_path / (letter * 90), RESULTS) for letter in "ab"]
    text = " ".join(printed(compare(studies)))
    assert "…" not in text and re.search(r"40\.0/s ±\d+\.\d %\*", text)


def test_different_questions_are_told_apart(tmp_path: Path) -> None:
    limits = (Limit(metric="setup_s", max=9.0),)
    spaces = (SPACE, msgspec.structs.replace(SPACE, constraints=limits))
    compared = compare([study(tmp_path / str(place), RESULTS, space=space) for place, space in enumerate(spaces)])
    lines = printed(compared, width=200)
    assert lines[:2] == ["2 groups", render.APART]
    assert "torchvision:resnet18: the best by throughput, with setup_s at most 9" in lines
    assert not any(line.startswith("What a winner loses") for line in lines)


def test_an_objective_without_a_column_gets_one(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, objective="latency_p50_ms")
    lines = printed(compare([study(tmp_path / name, RESULTS, space=space) for name in "ab"]))
    assert cells(lines[1])[3] == "gain" and "latency_p50_ms" in lines[1]
    assert "20.0 ms" in lines[2] and "  2.50x (2." in lines[2]
    assert "gain: less latency_p50_ms than the baseline of the same machine" in lines


def test_markdown_holds_names_as_they_are(tmp_path: Path) -> None:
    names = [HOSTILE.replace("/", "-"), "b"]
    text = render.markdown(compare([study(tmp_path / name, RESULTS) for name in names]))
    assert "<script>" not in text and "\\<script\\>" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in rows[:4]}) == 1


def test_csv_has_a_row_a_study(found: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render.as_csv(found))))
    assert [row["study"] for row in rows] == ["one", "two"]
    assert [(row["group"], row["confirmed"]) for row in rows] == [("1", "True"), ("1", "False")]
    assert float(rows[0]["cost_per_million"]) == pytest.approx(2.5) and rows[1]["cost_per_million"] == ""
    assert float(rows[0]["throughput_low"]) == pytest.approx(39.2)
    assert rows[1]["notes"].endswith("; from the search alone: not confirmed")


def test_json_holds_everything(found: Comparison) -> None:
    text = render.json(found)
    assert msgspec.json.decode(text, type=Comparison) == found
    assert json.loads(text)["format"] == 1
