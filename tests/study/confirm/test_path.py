from __future__ import annotations

import math
from pathlib import Path

import pytest

from autotune.study.confirm import path, scores
from tests.fake_executor import speed
from tests.study.confirm.winners import HW, LEAN, OTHER, PLAIN, WINNER, config, confirmed, hinted, steps


def test_the_way_goes_by_worth_and_options_behind_their_backend() -> None:
    found = path.stops(WINNER, PLAIN, steps("batch_size", "openvino.precision", "allocator", "backend"), HW)
    assert list(found) == ["with-batch_size", "with-allocator", "with-backend", "winner"]
    assert [stage.settings for stage in found.values()] == [
        {"batch_size": 16},
        {"allocator": "tcmalloc"},
        {"backend": "openvino"},
        {"openvino.precision": "int8"},
    ]
    assert [stage.config for stage in found.values()] == [
        config(16),
        config(16, allocator="tcmalloc"),
        config(16, "openvino", allocator="tcmalloc"),
        WINNER,
    ]


def test_an_option_of_the_same_backend_has_its_own_place() -> None:
    winner = config(8, memory_format_="channels_last")
    found = path.stops(winner, PLAIN, steps("torch_eager.memory_format", "batch_size"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"torch_eager.memory_format": "channels_last"},
        {"batch_size": 8},
    ]


def test_a_step_that_cannot_be_honoured_goes_with_the_next() -> None:
    """The advised number of requests must wait for the hint."""
    found = path.stops(hinted(), PLAIN, steps("backend", "openvino.requests", "openvino.hint"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"backend": "openvino"},
        {"openvino.requests": 0, "openvino.hint": "throughput"},
    ]
    assert [stage.config for stage in found.values()] == [config(1, "openvino"), hinted()]


def test_settings_without_a_worth_come_last() -> None:
    found = path.stops(LEAN, PLAIN, steps("batch_size"), HW)
    assert [list(stage.settings) for stage in found.values()] == [["batch_size"], ["backend"], ["openvino.precision"]]


def test_one_change_is_one_stage() -> None:
    assert list(path.stops(OTHER, PLAIN, (), HW)) == ["winner"]


def test_the_path_has_what_each_step_brought(tmp_path: Path) -> None:
    found, executor = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0}, lambda name, spec: speed(spec.configs[name]))
    (candidates,) = {tuple(spec.configs) for spec in executor.runs if "/path-" in spec.folder}
    assert candidates == ("baseline", "with-backend", "with-openvino.precision", "with-batch_size", "winner")
    assert [list(step.settings) for step in found.path] == [
        ["backend"],
        ["openvino.precision"],
        ["batch_size"],
        ["allocator"],
    ]
    ratios = [step.ratio.estimate for step in found.path if step.ratio is not None]
    totals = [step.total.estimate for step in found.path if step.total is not None]
    assert totals == pytest.approx([math.prod(ratios[: i + 1]) for i in range(4)])
    assert ratios == pytest.approx([2.2, 3.0, 1.32 / 1.02, 1.1], rel=0.02)
    assert all(step.total is not None and step.total.low is not None for step in found.path)


def test_a_path_that_was_not_measured_names_its_steps_without_figures() -> None:
    found = path.stops(LEAN, PLAIN, (), HW)
    steps_taken = path.steps(scores.table([], ["baseline", *found], 0.95), found)
    assert [(step.settings, step.ratio, step.total) for step in steps_taken] == [
        (stage.settings, None, None) for stage in found.values()
    ]
