from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Finalist
from autotune.core.results import Candidate, InterleavedRun, Status
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import aggregate, claim, scores
from tests.report.made import PLAIN, config, confirmation, estimate, numbered, result
from tests.report.made import winner as made_winner
from tests.study.fakes import WORKLOAD

FAST = config("onnxruntime", 8)
CONFIGS = {"fast": FAST, "baseline": PLAIN}


def run(number: int) -> InterleavedRun:
    """The fast one at 40, the baseline at 10; the first block of each was disturbed."""
    spec = InterleavedSpec(
        number=number, workload=WORKLOAD, configs=CONFIGS, rounds=2, order="", folder=f"confirmation/a/{number:04d}"
    )
    candidates = {}
    for name, rate in (("fast", 40.0), ("baseline", 10.0)):
        first, second = numbered((rate, rate))
        candidates[name] = Candidate(
            config=CONFIGS[name], blocks=(msgspec.structs.replace(first, disturbances=("steal",)), second)
        )
    return InterleavedRun(spec=spec, candidates=candidates, start_s=1, wall_s=2, started="", fingerprint="")


RUNS = [run(1), run(2)]


@pytest.mark.parametrize("status", [Status.OK, Status.REJECTED])
def test_the_winner_has_the_figures_of_its_runs_and_the_set_up_of_its_trial(status: Status) -> None:
    found = aggregate.merge(Path(), RUNS, "fast", 0.95)
    assert found is not None
    rates = scores.table(RUNS, list(CONFIGS), 0.95)
    trials = [result(0, PLAIN, (10,)), result(3, FAST, (41,), status=status, setup_s=1.5)]
    winner = claim.winner("fast", found, rates, trials, None)
    assert (winner.config, winner.runs, winner.rounds) == (FAST, 2, 4)
    assert winner.ratio is not None and winner.ratio.estimate == pytest.approx(4)
    assert winner.throughput.estimate == pytest.approx(40)
    measured = status is Status.OK
    assert (winner.trial, winner.setup_s) == ((3, 1.5) if measured else (None, None))
    assert winner.metrics.get("setup_s") == winner.setup_s


def test_a_ratio_by_way_of_another_has_the_runs_of_the_step_with_fewer() -> None:
    """Two with what has three with the baseline."""
    log = math.log
    logs = {
        "fast": [[log(40.0)] * 2, [log(40.0)] * 3, [], [], []],
        "other": [[log(20.0)] * 2, [log(20.0)] * 3, [log(20.0)] * 4, [log(20.0)] * 4, [log(20.0)] * 4],
        "baseline": [[], [], [log(10.0)] * 4, [log(10.0)] * 4, [log(10.0)] * 4],
    }
    found = aggregate.merge(Path(), RUNS, "fast", 0.95)
    assert found is not None
    winner = claim.winner("fast", found, scores.ScoreTable(logs=logs, confidence=0.95), [], None)
    assert (winner.indirect, winner.runs, winner.rounds) == (True, 2, 5)
    assert winner.ratio is not None and winner.ratio.estimate == pytest.approx(4)
    direct = claim.winner("fast", found, scores.table(RUNS, list(CONFIGS), 0.95), [], None)
    assert not direct.indirect


def test_a_gain_is_above_one_for_sure() -> None:
    assert claim.above_one(estimate(1.2, 0.1))
    assert not any(map(claim.above_one, (None, estimate(1.2), estimate(1.05, 0.1))))


def test_the_share_of_disturbed_blocks() -> None:
    assert claim.disturbed(RUNS) == 0.5
    assert claim.disturbed([]) == 0.0


def test_an_earlier_gain_stands_until_another_claim_or_what_refutes_it() -> None:
    earlier = confirmation(made_winner(FAST), finished=False)
    nothing = confirmation(None, confirmed=False, gain=False, reason="too short")
    failed = Finalist(trial=7, config=FAST, ratio=None, error="it broke")
    broken = Finalist(trial=7, config=FAST, ratio=None, broken="p99")
    assert claim.stands(earlier, nothing, PLAIN)
    assert claim.stands(earlier, msgspec.structs.replace(nothing, winner=made_winner(config("openvino", 1))), PLAIN)
    for refuting in (failed, broken, Finalist(trial=0, config=PLAIN, ratio=None, error="it broke")):
        assert not claim.stands(earlier, msgspec.structs.replace(nothing, finalists=(refuting,)), PLAIN)
    assert not claim.stands(earlier, confirmation(made_winner(PLAIN), gain=False), PLAIN)
    unconfirmed = msgspec.structs.replace(earlier, confirmed=False, gain=False)
    assert not claim.stands(unconfirmed, nothing, PLAIN)
