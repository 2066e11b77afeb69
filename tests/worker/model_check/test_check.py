from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.workload_spec import WorkloadSpec
from autotune.models.workload import BuiltWorkload
from autotune.worker.model_check import check as checking
from autotune.worker.model_check.check import Checkup
from autotune.worker.model_check.subject import Subject
from tests.worker.model_check import numpy_models
from tests.worker.model_check.numpy_models import pairs, plain, recurrent

Array = np.ndarray[Any, Any]
OWN = BuiltWorkload(WorkloadSpec(model="python:net.py:build", inputs=()))


def check(subject: Subject) -> Checkup:
    return checking.check(subject, None, os.environ)


def test_of_a_model_that_does_as_it_should_nothing_is_said() -> None:
    assert check(numpy_models.subject(plain)) == Checkup(())
    assert check(numpy_models.subject(plain, fixed=8)) == Checkup(())
    assert check(numpy_models.subject(plain, tuned=1)) == Checkup((), together=True)
    assert check(numpy_models.subject(plain, tuned=16)) == Checkup(())


def test_the_first_error_ends_the_study_in_one_line() -> None:
    with pytest.raises(ModelError, match=r"^a row's answer depends on the rows before it \(output\); the first"):
        checking.checked(numpy_models.subject(recurrent), OWN, os.environ)


def test_rows_that_depend_on_each_other_are_run_together_where_one_size_is_tuned() -> None:
    found = checking.checked(numpy_models.subject(pairs, tuned=8), OWN, os.environ)
    assert found.together and [one.severity for one in found.findings] == ["notice"]


def test_a_model_of_the_one_size_that_is_tuned_is_run_at_that() -> None:
    found = check(numpy_models.subject(lambda x: plain(x.reshape(16, 6)), tuned=16))
    assert found == Checkup((), together=True)


def test_an_error_of_the_model_itself_says_what_it_was_called_with() -> None:
    def broken(x: Array) -> Array:
        raise ValueError("wrong sizes:\n  got 3, wanted 4.")

    said = r"cannot be called with float32 \[8, 6\]: ValueError: wrong sizes: got 3, wanted 4; give what it takes$"
    with pytest.raises(ModelError, match=said):
        checking.checked(numpy_models.subject(broken), OWN, os.environ)


def test_a_call_that_fails_after_one_with_another_batch_is_an_error() -> None:
    kept: list[Array] = []

    def growing(x: Array) -> Array:
        kept.append(plain(x))
        return np.stack(kept[-3:]).mean(0)

    (said,) = check(numpy_models.subject(growing)).findings
    assert said.severity == "error"
    assert said.what.startswith("a call fails after one with another batch: ValueError: all input arrays must have")


def test_of_a_module_that_was_made_float32_the_way_back_is_named() -> None:
    def typed(x: Array) -> Array:
        raise RuntimeError("mat1 and mat2 must have the same dtype")

    half = BuiltWorkload(OWN.spec)
    half.half = "float16"
    with pytest.raises(ModelError, match=r"float16 and made float32, cannot be called: .*; write precision: as_given"):
        checking.checked(numpy_models.subject(typed), half, os.environ)
    (said,) = checking.checked(numpy_models.subject(plain), half, os.environ).findings
    assert said.line == (
        "the module's parameters are float16; they are made float32, and so are half inputs; "
        "return model.float(), or write precision: as_given under workload"
    )


def test_of_large_outputs_a_few_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "KEPT_BYTES", 70)
    found = check(numpy_models.subject(plain))
    assert (found.rows, [one.what for one in found.findings]) == (
        3,
        ["the outputs take 0 KiB a row, so the answers of only 3 rows are kept and compared"],
    )
    monkeypatch.setattr(checking, "KEPT_BYTES", 1)
    assert check(numpy_models.subject(plain)).rows == 2


def test_variables_that_the_models_code_sets_are_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MODEL_DIR", "here")
    (said,) = checking.check(numpy_models.subject(plain), None, before).findings
    assert said.what == "the model's own code sets OMP_NUM_THREADS=1, too late for what is measured"
