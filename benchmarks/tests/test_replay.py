"""The replay of searches on recorded spaces (`benchmarks/replay.py`), on a made-up table and a made-up grid."""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

import msgspec
import pytest
from optuna.trial import FixedTrial

from autotune.core.struct import Value
from autotune.study.ranking import FEW_BLOCKS

sys.path.append(str(Path(__file__).parents[1]))

import recorded
import replay
import transfer
from replay import External, Outcome, Own, key

from benchmarks.tests.made_table import BLOCK_S, FAILED_S, NOISE, PREPARE_S, START_S, TRIAL_S, blocks, table

STEADY = Own("steady", table())
FAST: dict[str, Value] = {"backend": "onnxruntime", "allocator": "tcmalloc", "batch_size": 8}
STEADY_FAST = math.exp(STEADY.truths[key(FAST)])
SLOW: dict[str, Value] = {"backend": "torch_eager", "allocator": "system", "batch_size": 1}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    recorded.write(tmp_path / "made.json.gz", table())
    assert recorded.read(tmp_path / "made.json.gz") == table()
    again = (tmp_path / "made.json.gz").read_bytes()
    recorded.write(tmp_path / "made.json.gz", table())
    assert (tmp_path / "made.json.gz").read_bytes() == again


def test_the_truth_is_the_recorded_rate_of_what_runs() -> None:
    assert len(STEADY.rows) == 8 and len(STEADY.truths) == 6
    assert max(STEADY.truths, key=STEADY.truths.__getitem__) == key(FAST)
    assert STEADY.truths[key(SLOW)] == pytest.approx(math.log(10.2))


def test_a_preparation_costs_once_a_study_whichever_configuration_comes_first() -> None:
    first = [point for point in map(dict, STEADY.rows) if point["backend"] == "onnxruntime"]
    for point in first:
        made: set[str] = set()
        outcome = STEADY.trial(point, None, random.Random(0), made)
        assert outcome.seconds == pytest.approx(TRIAL_S + PREPARE_S)
        assert [STEADY.trial(other, None, random.Random(0), made).seconds for other in first] == [
            pytest.approx(TRIAL_S)
        ] * len(first)
    assert STEADY.trial(SLOW, None, random.Random(0), set()).seconds == pytest.approx(TRIAL_S)


def test_a_failure_costs_what_it_took_and_has_no_rate() -> None:
    outcome = STEADY.trial({**SLOW, "allocator": "tcmalloc"}, None, random.Random(0), set())
    assert (outcome.rate, outcome.complete, outcome.seconds) == (None, False, FAILED_S)


def test_what_breaks_a_limit_costs_what_it_took_and_is_no_truth() -> None:
    found = Own("wrong", table(wrong=lambda config: config.knobs["allocator"] == "tcmalloc"))
    assert key(FAST) in found.rates and key(FAST) not in found.truths
    assert found.trial(FAST, None, random.Random(0), set()) == Outcome(seconds=TRIAL_S + PREPARE_S)


def test_a_table_of_before_answers_were_kept_keeps_all_limits() -> None:
    row = table().rows[0]
    kept = msgspec.to_builtins(row)
    del kept["fidelity"], kept["feasible"]
    assert msgspec.convert(kept, recorded.Row) == msgspec.structs.replace(row, fidelity=None)


def test_what_is_slow_is_given_up_after_a_block_or_two() -> None:
    hopeless = STEADY.trial(SLOW, 100.0, random.Random(0), set())
    assert (hopeless.complete, hopeless.noise) == (False, FEW_BLOCKS)
    assert hopeless.seconds == pytest.approx(START_S + BLOCK_S)
    slower = STEADY.trial(SLOW, 25.0, random.Random(0), set())
    assert not slower.complete and slower.rate == pytest.approx(10.2)
    assert slower.seconds == pytest.approx(START_S + 2 * BLOCK_S)


def test_each_launch_counts_alike_and_a_trial_is_one_of_them() -> None:
    whole = table()
    rows = [
        msgspec.structs.replace(row, again=(blocks(4 * STEADY_FAST),)) if row.parameters == FAST else row
        for row in whole.rows
    ]
    twice = Own("twice", msgspec.structs.replace(whole, rows=tuple(rows)))
    assert twice.truths[key(FAST)] == pytest.approx(math.log(2 * STEADY_FAST))
    found = {twice.trial(FAST, None, random.Random(seed), set()).rate for seed in range(20)}
    assert sorted(rate or 0.0 for rate in found) == pytest.approx([STEADY_FAST, 4 * STEADY_FAST])


def test_noise_is_the_recorded_one() -> None:
    noisy = Own("noisy", table(NOISE))
    found = [noisy.trial(FAST, None, random.Random(seed), set()) for seed in range(30)]
    ratios = {round((outcome.rate or 0.0) / math.exp(STEADY.truths[key(FAST)]), 3) for outcome in found}
    assert len(ratios) >= 3 and ratios <= set(NOISE)  # medians of three blocks, from different ones on
    assert all(0.005 < outcome.noise < 0.05 for outcome in found)
    assert STEADY.trial(FAST, None, random.Random(0), set()).noise == 0


def test_a_trial_s_point_is_a_row_and_the_baseline_comes_first() -> None:
    assert [STEADY.choose(FixedTrial(dict(place))) for place in STEADY.rows] == [dict(place) for place in STEADY.rows]
    assert STEADY.first[0] == SLOW and len(STEADY.first) > 1
    assert all(key(point) in STEADY.rows for point in STEADY.first)
    assert list(STEADY.axes) == ["batch_size", "allocator", "backend"]


def entry(x: int, y: int, times: list[float], error: str | None = None) -> dict[str, object]:
    time = error or sum(times) / len(times)
    return {"x": x, "y": y, "z": 1, "time": time, "times": times} | {
        "compile_time": 800.0,
        "benchmark_time": 320.0,
        "framework_time": 2.0,
    }


GRID = {
    "tune_params_keys": ["x", "y", "z"],
    "tune_params": {"x": [1, 2], "y": [1, 2], "z": [1]},
    "cache": {"1,1,1": entry(1, 1, [4.0] * 32), "1,2,1": entry(1, 2, [2.0] * 32), "2,1,1": entry(2, 1, [], "Failed")},
}


def test_an_external_grid_is_replayed_alike() -> None:
    found = External("grid", GRID)
    dice = random.Random(0)
    assert found.truths == {key({"x": 1, "y": 1}): math.log(250), key({"x": 1, "y": 2}): math.log(500)}
    assert found.first == ({"x": 1, "y": 1},)
    outcome = found.trial({"x": 1, "y": 2}, None, dice, set())
    assert outcome.complete and outcome.rate == pytest.approx(500)
    assert outcome.seconds == pytest.approx(0.802 + 0.03)
    failed = found.trial({"x": 2, "y": 1}, None, dice, set())
    assert (failed.rate, failed.seconds) == (None, pytest.approx(1.122))
    refused = found.trial({"x": 2, "y": 2}, None, dice, set())
    assert (refused.rate, refused.seconds) == (None, pytest.approx(0.002))


def test_an_external_grid_s_points_are_all_combinations() -> None:
    points = External("grid", GRID).points
    every = [points.at(place) for place in range(len(points))]
    assert {key(point) for point in every if point} == {key({"x": x, "y": y}) for x in (1, 2) for y in (1, 2)}
    near = list(points.neighbours({"x": 1, "y": 1}, random.Random(0)))
    assert near == [{"x": 2, "y": 1}, {"x": 1, "y": 2}]


@pytest.mark.parametrize("name", replay.names())
def test_what_is_shipped_can_be_replayed(name: str) -> None:
    found = replay.load(name)
    assert len(found.truths) >= 100
    dice, made = random.Random(0), set[str]()
    assert found.trial(found.first[0], None, dice, made).complete
    for _ in range(20):
        point = found.points.at(dice.randrange(len(found.points)))
        if point is not None:
            assert (found.trial(point, None, dice, made).rate is None) == (key(point) not in found.truths)


def test_the_spaces_are_there() -> None:
    assert [name for name in replay.names() if replay.recorded(name)] == ["encoder", "resnet18", "sentences"]
    assert {"convolution_A100", "convolution_MI250X"} <= set(replay.names())


def test_what_the_machine_could_not_honour_costs_nothing() -> None:
    assert STEADY.trial({"backend": "gone"}, None, random.Random(0), set()) == Outcome(seconds=0.0)


def test_a_study_of_another_space_gives_points_of_this_one() -> None:
    there, here = replay.load("encoder"), replay.load("resnet18")
    assert isinstance(there, Own) and isinstance(here, Own)
    points = transfer.taken(there, here, seed=1, trials=6)
    assert points
    assert len({key(point) for point in points}) == len(points)
    assert all(key(point) in here.rows for point in points)
