from __future__ import annotations

import msgspec
import pytest

from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metrics import METRICS
from autotune.core.answers import Accuracy, Fidelity, Part
from autotune.core.space_types import Goal, Limit
from autotune.report.text import answers
from autotune.space.goal_section import ANSWERS
from tests.report.made import CLOSE, estimate


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "answers   not compared"),
        (
            msgspec.structs.replace(CLOSE, judged=False),
            "answers   unjudged: with random weights outputs hardly depend on the input",
        ),
        (
            msgspec.structs.replace(CLOSE, judged=False, reason="outputs do not vary between inputs"),
            "answers   unjudged: outputs do not vary between inputs",
        ),
        (
            CLOSE,
            "answers   error 0.012 of the variation between inputs, cosine similarity 0.99988 to the float32 model "
            "(8 samples)",
        ),
        (
            msgspec.structs.replace(CLOSE, centred_error=None, top1_agreement=0.875),
            "answers   cosine similarity 0.99988 to the float32 model, the same class in 88 % (8 samples)",
        ),
    ],
)
def test_answers(found: Fidelity | None, line: str) -> None:
    assert answers.answers(found) == line


def test_the_part_that_is_furthest_off_has_a_line() -> None:
    part = Part(name="channel 4 of output 'boxes' no longer varies", error=1.0)
    found = msgspec.structs.replace(CLOSE, part=part)
    line = "worst     channel 4 of output 'boxes' no longer varies: error 1 (1 is as good as a guess)"
    assert answers.lines(found, None, [], {}, Goal())[1:] == [line]
    for silent in (
        msgspec.structs.replace(found, judged=False),
        msgspec.structs.replace(CLOSE, part=Part(name="b", error=0.0)),
    ):
        assert answers.lines(silent, None, [], {}, Goal())[1:] == []


def test_of_the_limits_that_nobody_wrote_the_nearest_is_shown() -> None:
    centred, channel, sample, *_ = ANSWERS
    near = ConstraintCheck(channel, channel.metric, channel.max * 0.9)
    judged = [ConstraintCheck(centred, centred.metric, 0.01), near, ConstraintCheck(sample, None, None)]
    assert answers.lines(CLOSE, None, judged, {}, Goal())[1:] == [
        f"limit     {near.description}: kept, 10 % inside",
    ]
    same = [ConstraintCheck(one, one.metric, METRICS[one.metric].ideal) for one in ANSWERS]
    assert answers.lines(CLOSE, None, same, {}, Goal())[1:] == []


def test_the_headline_doubts_what_is_not_judged() -> None:
    assert answers.doubt(CLOSE) == answers.doubt(None) == ""
    unjudged = msgspec.structs.replace(CLOSE, judged=False)
    assert answers.doubt(unjudged) == " (its answers are unjudged)"
    generated = " (calibrated on generated inputs, its answers are unjudged)"
    assert answers.doubt(unjudged, "generated inputs") == generated
    assert answers.doubt(CLOSE, "generated inputs") == ""


def test_accuracy_and_limits_have_a_line_each() -> None:
    accuracy = Accuracy(metric="accuracy", samples=360, reference=0.97, value=0.965, drop=estimate(0.005, 0.01))
    judged = [
        ConstraintCheck(Limit(metric="accuracy_drop", max=0.01), "accuracy_drop", 0.005),
        ConstraintCheck(Limit(metric="top1_agreement", min=0.9), None, None),
        ConstraintCheck(Limit(metric="setup_s", max=9.0), None, None),
        ConstraintCheck(Limit(metric="top1_agreement", min=0.8, unjudged="reject"), None, None),
    ]
    assert answers.lines(CLOSE, accuracy, judged, {}, Goal())[1:] == [
        "accuracy  0.9650, the float32 model 0.9700: drop +0.0050 (-0.0050 to +0.0150) over 360 samples",
        "limit     accuracy_drop is 0.005, allowed at most 0.01: kept, 50 % inside",
        "limit     top1_agreement at least 0.9: not judged (no output has classes)",
        "limit     setup_s at most 9: not judged (no trial started just this configuration)",
        "limit     top1_agreement at least 0.8: refused, not judged (no output has classes)",
    ]
    random = msgspec.structs.replace(CLOSE, judged=False, reason="random weights")
    for fidelity, why in ((random, "random weights"), (None, "its answers were not compared")):
        unknown = [
            ConstraintCheck(Limit(metric="centred_error", max=0.2), None, None),
            *(ConstraintCheck(limit, None, None) for limit in ANSWERS),
        ]
        lines = answers.lines(fidelity, None, unknown, {}, Goal())
        assert lines[1:] == [f"limit     centred_error at most 0.2: not judged ({why})"]
