from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest

from autotune.core.config import Config, Placement, WorkloadSettings
from autotune.core.protocol import (
    Answered,
    CanaryJob,
    Command,
    Failed,
    Finish,
    Finished,
    Job,
    Measure,
    Measured,
    MeasureJob,
    Prepared,
    PrepareJob,
    Ready,
    Reply,
    Sense,
    Sensed,
    Serve,
)
from autotune.core.results import Canary, Fidelity, Status
from autotune.core.rules import Correction, MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.struct import Struct
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from tests import machines

WORKLOAD = WorkloadSpec(model="tiny:conv", inputs=(InputSpec(shape=("batch", 3)),), options={"weights": None})
CONFIG = Config(
    workload=WorkloadSettings(batch_size=4), backend="openvino", options={"precision": "int8"}, knobs={"layout": "1x2"}
)
RULES = MeasureRules(correction=Correction(slopes={"compute": 0.5}, centres={1: {"compute": 2.5}}))
FIDELITY = Fidelity(judged=False, samples=8, cosine_similarity=1.0, centred_error=None, max_abs_error=0.0)
HW = machines.hardware(2, quota=1.5)

MESSAGES: dict[Any, list[Struct]] = {
    Job: [
        PrepareJob(workload=WORKLOAD, hardware=HW, rules=RULES, folder="/f"),
        PrepareJob(
            workload=WORKLOAD, hardware=HW, rules=RULES, folder="/f", backend="openvino", config=CONFIG, source="/s"
        ),
        MeasureJob(
            spec=TrialSpec(id=1, workload=WORKLOAD, config=CONFIG, folder="trials/00001"),
            hardware=HW,
            rules=RULES,
            placements=(Placement(cpus=(0, 1), threads=2, node=0),),
            folder="/f",
            reference="/r",
            artifact="/a",
        ),
        CanaryJob(),
    ],
    Command: [
        Measure(block=3, start_ns=2**62, stop_ns=2**62 + 5),
        Serve(probe=2, start_ns=2**62, stop_ns=2**62 + 5, rate=31.25, queue_delay_ns=10_000_000, seed=7),
        Finish(),
        Sense(cpus=(0, 2), seconds=0.09),
    ],
    Reply: [
        Prepared(),
        Ready(load_s=0.5, first_call_s=0.1, checked_s=0.2, fidelity=FIDELITY, versions={"python": "3.11"}),
        Measured(items=3.5, calls=4, cpu_ns=2**40),
        Answered(latencies_ns=(2**40, 5), unanswered=1),
        Finished(peak_rss_bytes=2**33),
        Sensed(canary=Canary(cores=2, compute=1.0, memory=2.0, scalar=3.0)),
        Failed(status=Status.CRASHED, message="RuntimeError: two\nlines and '\"\0 \U0001f600", errno=28),
    ],
}
ALL = [
    pytest.param(kind, message, id=f"{type(message).__name__}")
    for kind, messages in MESSAGES.items()
    for message in messages
]


def test_there_is_an_example_of_every_message() -> None:
    for kind, messages in MESSAGES.items():
        assert {type(message) for message in messages} == set(get_args(kind))


@pytest.mark.parametrize(("kind", "message"), ALL)
def test_a_message_is_one_line_and_is_understood(kind: Any, message: Struct) -> None:
    line = msgspec.json.encode(message)
    assert len(line.splitlines()) == 1
    assert msgspec.json.decode(line, type=kind) == message


@pytest.mark.parametrize(("kind", "message"), ALL)
def test_what_is_not_agreed_is_refused(kind: Any, message: Struct) -> None:
    fields = json.loads(msgspec.json.encode(message))
    for wrong in (
        fields | {"more": 1},
        fields | {"type": "sing"},
        {name: fields[name] for name in fields.keys() - {"type"}},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, kind)
