from __future__ import annotations

import msgspec
import pytest

from autotune.core.best import Best, Claim, Measurements
from autotune.core.config import Config, Placement, WorkloadSettings
from autotune.core.results import (
    ArtifactRef,
    Block,
    Canary,
    Candidate,
    Estimate,
    Fidelity,
    Interference,
    InterleavedRun,
    Status,
    TrialResult,
)
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import Struct
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from tests import machines

WORKLOAD = WorkloadSpec(model="tiny:conv", inputs=(InputSpec(shape=("batch", 3)),))
CONFIG = Config(
    workload=WorkloadSettings(batch_size=4), backend="b", options={"x": 0.5, "y": True}, knobs={"layout": "1x1"}
)
CANARY = Canary(cores=2, compute=1.5, memory=2.5, scalar=3.5)
PLAIN_BLOCK = Block(start_ns=10, elapsed_ns=500_000_000, items=32.0, calls=8, cpu_ns=450_000_000)
BLOCK = msgspec.structs.replace(
    PLAIN_BLOCK,
    number=3,
    unit="token",
    canary=CANARY,
    interference=Interference(cpu_pressure=0.1, steal=0.0),
    gates=("pressure", "canary"),
)
FIDELITY = Fidelity(judged=True, samples=8, cosine_similarity=0.99, centred_error=None, max_abs_error=1e-6)
ARTIFACT = ArtifactRef(key="k", sha256="s", bytes=10, prepare_s=1.5)
SPEC = TrialSpec(id=1, workload=WORKLOAD, config=CONFIG, folder="trials/00001")
SITTING_SPEC = InterleavedSpec(number=1, workload=WORKLOAD, configs={"a": CONFIG}, rounds=3, order="a", folder="s")


def run(**candidates: Candidate) -> InterleavedRun:
    return InterleavedRun(
        spec=SITTING_SPEC,
        candidates=candidates,
        start_s=4.0,
        wall_s=10.0,
        started="2025-01-01T00:00:00+00:00",
        fingerprint="f",
    )


NOUNS: list[Struct] = [
    TrialResult(spec=SPEC, status=Status.OK),
    TrialResult(
        spec=SPEC,
        status=Status.NOT_APPLIED,
        feasible=False,
        blocks=(PLAIN_BLOCK, BLOCK),
        repeated=(BLOCK,),
        flags=("cold",),
        load_s=0.5,
        fidelity=FIDELITY,
        error="layout: two\nlines",
        artifact=ARTIFACT,
        versions={"torch": "2.8.0"},
    ),
    run(a=Candidate(config=CONFIG, blocks=(BLOCK,), idle_share=0.001), b=Candidate(config=CONFIG, error="it ended")),
    Best(
        study="s",
        trial=None,
        confirmed=True,
        workload=WORKLOAD,
        config=CONFIG,
        environment={"OMP_NUM_THREADS": "1", "LD_PRELOAD": None},
        preload=("/lib/x.so",),
        layout=(Placement(cpus=(0, 2), threads=2, node=0), Placement(cpus=(1,), threads=1)),
        measured=Measurements(
            throughput=Estimate(estimate=10.0, low=None, high=None),
            speedup=Claim(estimate=1.5, low=1.4, high=1.6, runs=6, rounds=30),
        ),
        fidelity=FIDELITY,
        hardware=machines.hardware(2),
        versions={},
        artifact=None,
    ),
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_what_was_measured_survives_json(noun: Struct) -> None:
    assert msgspec.json.decode(msgspec.json.encode(noun), type=type(noun)) == noun


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: type(noun).__name__)
def test_a_file_says_its_format_and_refuses_what_it_does_not_know(noun: Struct) -> None:
    written = msgspec.json.decode(msgspec.json.encode(noun))
    assert written["format"] == 1
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.convert(written | {"colour": "red"}, type(noun))


def test_a_block_of_an_earlier_version_has_no_interference() -> None:
    plain = {"start_ns": 10, "elapsed_ns": 500_000_000, "items": 32.0, "calls": 8, "cpu_ns": 450_000_000}
    assert msgspec.convert(plain, Block) == PLAIN_BLOCK


def test_a_rate_is_items_per_second() -> None:
    assert PLAIN_BLOCK.rate == 64.0


def test_the_canarys_parts_are_all_of_its_figures() -> None:
    assert CANARY.parts == {"compute": 1.5, "memory": 2.5, "scalar": 3.5}
    assert {"cores", *CANARY.parts} == set(Canary.__struct_fields__)


def test_only_a_trial_with_a_rate_is_measured() -> None:
    assert {status for status in Status if status.measured} == {Status.OK, Status.REJECTED}


def test_a_status_is_written_as_a_word_and_no_other_is_read() -> None:
    assert msgspec.json.encode(Status.OUT_OF_MEMORY) == b'"out_of_memory"'
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("exploded", Status)


@pytest.mark.parametrize(
    ("candidates", "round_s"),
    [
        ({}, None),
        ({"a": Candidate(config=CONFIG, error="it ended")}, None),
        ({"a": Candidate(config=CONFIG, blocks=(BLOCK,) * 3)}, 2.0),
        ({"a": Candidate(config=CONFIG, blocks=(BLOCK,)), "b": Candidate(config=CONFIG, blocks=(BLOCK,) * 3)}, 2.0),
    ],
)
def test_a_round_takes_its_part_of_the_time_after_the_start(
    candidates: dict[str, Candidate], round_s: float | None
) -> None:
    assert run(**candidates).round_s == round_s
