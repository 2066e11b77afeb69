from __future__ import annotations

import msgspec
import pytest

from autotune.core.rules import ConfirmRules, Correction, MeasureRules
from autotune.core.struct import Struct

CORRECTION = Correction(slopes={"compute": 0.5, "memory": -0.25}, centres={1: {"compute": 20.0}, 16: {"compute": 21.5}})


@pytest.mark.parametrize(
    "rules",
    [
        CORRECTION,
        Correction(),
        MeasureRules(),
        MeasureRules(correction=CORRECTION, trial_timeout_s=12.5, reject_first_block=0.1),
        ConfirmRules(),
        ConfirmRules(delta=0.05, finalists=5),
    ],
    ids=lambda rules: type(rules).__name__,
)
def test_rules_survive_json_to_the_last_digit(rules: Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(rules), type=type(rules)) == rules


def test_a_rule_that_is_not_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `gate_heat`"):
        msgspec.convert({"gate_heat": 0.5}, MeasureRules)


def test_a_trial_can_be_measured_under_the_rules() -> None:
    rules = MeasureRules()
    assert rules.min_blocks * rules.block_s <= rules.measure_s
    assert rules.canary_s < rules.block_s < rules.block_timeout_s
    assert rules.reject_first_block < rules.reject_blocks < 1  # one block says less than several


def test_requests_can_be_served_under_the_rules() -> None:
    rules = MeasureRules()
    assert rules.probe_s < rules.probe_most_s
    assert 4 * rules.probe_s + 2 * rules.probe_most_s <= rules.serve_s  # a bisection, and a probe that is repeated
    assert 0 < rules.serve_least < 1 and rules.serve_width > 0


def test_a_confirmation_can_be_had_under_the_rules() -> None:
    rules = ConfirmRules()
    assert rules.least_rounds <= rules.first_rounds <= rules.most_rounds
    assert rules.first_rounds * rules.runs <= rules.first_stage <= rules.most_rounds * rules.most_runs
    assert 1 < rules.runs <= rules.most_runs
    assert 0 < rules.share < 1 and 0 < rules.finalists_share < 1
