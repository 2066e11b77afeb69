from __future__ import annotations

from typing import Any

import msgspec
import pytest

from autotune.core.config import Config, WorkloadSettings
from autotune.core.space_types import Budget
from autotune.core.struct import Value, digest, is_number

CONFIG = Config(workload=WorkloadSettings(batch_size=4), backend="torch_eager", options={}, knobs={"layout": "2x1"})


def test_an_unknown_field_is_refused_wherever_it_stands() -> None:
    good = msgspec.to_builtins(CONFIG)
    assert msgspec.convert(good, Config) == CONFIG
    for wrong in (good | {"thread": 1}, good | {"workload": {"batch_size": 4, "batchsize": 4}}):
        with pytest.raises(msgspec.ValidationError, match="unknown field"):
            msgspec.convert(wrong, Config)


def test_structs_are_frozen() -> None:
    budget: Any = Budget(trials=3)
    with pytest.raises(AttributeError):
        budget.trials = 4


def test_digests_stay_as_they_are() -> None:
    """Studies and caches are found by them; a change here is a new `FORMAT`."""
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest({"b": 1, "a": True}) == digest({"a": True, "b": 1})


@pytest.mark.parametrize(("value", "number"), [(1, True), (1.5, True), (True, False), ("1", False)])
def test_a_number_has_an_order(value: Value, number: bool) -> None:
    assert is_number(value) == number
