from __future__ import annotations

import msgspec
import pytest

from autotune.core.config import Config, WorkloadSettings
from autotune.core.results import (
    Block,
    Canary,
    Candidate,
    InterleavedRun,
    Status,
)
from autotune.core.specs import InterleavedSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec

WORKLOAD = WorkloadSpec(model="tiny:conv", inputs=(InputSpec(shape=("batch", 3)),))
CONFIG = Config(
    workload=WorkloadSettings(batch_size=4), backend="b", options={"x": 0.5, "y": True}, knobs={"layout": "1x1"}
)
CANARY = Canary(cores=2, compute=1.5, memory=2.5, scalar=3.5)
BLOCK = Block(start_ns=10, elapsed_ns=500_000_000, items=32.0, calls=8, cpu_ns=450_000_000)
RUN_SPEC = InterleavedSpec(number=1, workload=WORKLOAD, configs={"a": CONFIG}, rounds=3, order="a", folder="s")


def run(**candidates: Candidate) -> InterleavedRun:
    return InterleavedRun(
        spec=RUN_SPEC,
        candidates=candidates,
        start_s=4.0,
        wall_s=10.0,
        started="2025-01-01T00:00:00+00:00",
        fingerprint="f",
    )


def test_a_block_of_an_earlier_version_has_no_interference() -> None:
    plain = {"start_ns": 10, "elapsed_ns": 500_000_000, "items": 32.0, "calls": 8, "cpu_ns": 450_000_000}
    assert msgspec.convert(plain, Block) == BLOCK


def test_a_rate_is_items_per_second() -> None:
    assert BLOCK.rate == 64.0


def test_the_canarys_parts_are_all_of_its_computations() -> None:
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
