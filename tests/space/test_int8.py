from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import ModelError
from autotune.core.space_types import Exclusion, Space
from autotune.models.calibration import REMEDY
from autotune.space import int8
from tests.space.space_file import load, machine, refusal

MODEL = "name: toy\nworkload: {model: 'python:net.py:build'%s}\nsearch:\n  backend: {%s}\n"
DRAWN = ", inputs: [{shape: [batch, 3]}]"
BOTH = "onnxruntime: {precision: [float32, int8]}, torch_int8: {}, torch_eager: {}"
EQUIPPED = machine(packages=dict.fromkeys(("torch", "torchao", "onnxruntime", "onnx", "onnxscript"), "1"))
REASON = f"int8 would be calibrated and judged on generated inputs: {REMEDY}"


@pytest.fixture(autouse=True)
def net(folder: Path) -> None:
    (folder / "net.py").touch()


def space(more: str = "", backends: str = BOTH) -> Space:
    return load(MODEL % (more, backends), EQUIPPED)


def searched(found: Space) -> dict[str, object]:
    return {name: axes.get("precision") for name, axes in found.domains.backends.items()}


KEPT = {"onnxruntime": ("float32",), "torch_eager": ("float32",)}


def left_out(reason: str) -> tuple[Exclusion, ...]:
    return (
        Exclusion(setting="onnxruntime.precision", value="int8", reason=reason),
        Exclusion(setting="backend", value="torch_int8", reason=reason),
    )


def test_on_generated_inputs_int8_is_left_out_of_the_file() -> None:
    found = space(DRAWN)
    assert searched(found) == KEPT
    assert found.excluded == left_out(REASON)


def test_what_is_allowed_is_searched() -> None:
    found = space(f"{DRAWN}, allow: generated_calibration")
    assert found.workload.allow == ("generated_calibration",)
    assert searched(found)["onnxruntime"] == ("float32", "int8") and "torch_int8" in found.domains.backends
    assert int8.settled(found, 0) == found


def test_few_rows_are_known_once_they_are_counted() -> None:
    found = space()
    assert "torch_int8" in found.domains.backends and found.excluded == ()
    assert int8.settled(found, 8) == found
    settled = int8.settled(found, 1)
    assert searched(settled) == KEPT
    assert settled.excluded == left_out(f"int8 would be calibrated and judged on one example row: {REMEDY}")
    assert settled.excluded[0].reason.startswith("int8 would be calibrated and judged on one example row: give eight")


def test_a_study_that_left_int8_out_goes_on_without_it() -> None:
    found = space()
    settled = int8.settled(found, 1)
    assert int8.as_before(found, settled.excluded).domains == settled.domains
    assert int8.as_before(found, [Exclusion(setting="allocator", value="x", reason="not here")]) == found


def test_where_int8_is_all_there_is_the_reason_is_an_error() -> None:
    only = "onnxruntime: {precision: int8}"
    message = refusal(MODEL % (DRAWN, only), EQUIPPED)
    assert message == f"no backend of search.backend can be used here in space.yaml, line 3; {REASON}"
    with pytest.raises(ModelError, match=r"every configuration of the search is int8: .* one example row: give"):
        int8.settled(space("", only), 1)


def test_the_baseline_is_no_exception() -> None:
    baseline = "baseline: {backend: {onnxruntime: {precision: int8}}}"
    message = refusal(MODEL % (DRAWN, "torch_eager: {}") + baseline, EQUIPPED)
    assert message == f"the baseline cannot be used here in space.yaml, line 5; {REASON}"
    found = load(MODEL % ("", "torch_eager: {}") + baseline, EQUIPPED)
    with pytest.raises(ModelError, match=r"the baseline is int8: .* on 3 different rows: give eight"):
        int8.settled(found, 3)


def test_other_options_keep_all_their_values() -> None:
    found = space(DRAWN, "onnxruntime: {precision: [int8, float32], arena: [true, false]}").domains.backends
    assert found["onnxruntime"]["precision"] == ("float32",) and found["onnxruntime"]["arena"] == (True, False)
    given = space("", "onnxruntime: {precision: [int8, float32], arena: [true, false]}")
    domains, excluded = int8.without(given.domains, "for a reason")
    assert [one.setting for one in excluded] == ["onnxruntime.precision"]
    assert msgspec.structs.replace(given.domains, backends=found) == domains
