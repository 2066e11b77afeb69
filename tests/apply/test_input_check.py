from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.apply.input_check import measured, misfit, refuse_misfit, rows, widened
from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.workload_spec import InputSpec

IMAGES = Port("images", "float32", (None, 3, 64, 64))
IDS = Port("ids", "int64", (None, None))
ANYTHING = Port(None, None, None)


def array(*shape: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("arrays", "ports", "message"),
    [
        (
            (array(8, 3, 48, 64),),
            (IMAGES,),
            "input 0 has size 48 in dimension 2; the model was prepared for 64: "
            "pad or resize it, or run a study for 48",
        ),
        (
            (array(2, 7, dtype="int64"), array(8, 64, 64)),
            (IDS, IMAGES),
            "input 1 has 3 dimensions; the model was prepared for 4: reshape it",
        ),
        ((array(2, 7),), (IDS,), "input 0 is float32; the model was prepared for int64: convert it"),
        (
            (array(3, 2),),
            (Port(None, "float32", (8, 2)),),
            "input 0 has size 3 in dimension 0; the model was prepared for 8: pad or resize it, or run a study for 3",
        ),
        ((array(2, 7),), (IDS, IDS), "the batch has 1 inputs; the model was prepared for 2"),
    ],
)
def test_what_does_not_fit_is_named(arrays: Any, ports: Any, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        refuse_misfit(arrays, ports)
    assert str(caught.value) == message


@pytest.mark.parametrize(("got", "wanted"), [("int32", "int64"), ("float16", "float32"), ("uint8", "int64")])
def test_a_smaller_type_of_its_kind_is_converted(got: str, wanted: str) -> None:
    given, ports = (array(2, 7, dtype=got),), (Port(None, wanted, (None, None)),)
    refuse_misfit(given, ports)
    (found,) = widened(given, ports)
    assert found.dtype == wanted


@pytest.mark.parametrize(("got", "wanted"), [("int32", "float64"), ("bool", "int64"), ("int64", "int32")])
def test_another_type_is_left_to_who_calls(got: str, wanted: str) -> None:
    given, ports = (array(2, 7, dtype=got),), (Port(None, wanted, (None, None)),)
    with pytest.raises(ModelError, match=f"^input 0 is {got}; the model was prepared for {wanted}: convert it$"):
        refuse_misfit(given, ports)
    assert widened(given, ports)[0] is given[0]


def test_what_fits_is_not_copied() -> None:
    images, anything = array(1, 3, 64, 64), array(9, dtype="complex64")
    refuse_misfit((images, anything), (IMAGES, ANYTHING))
    found = widened((images, anything), (IMAGES, ANYTHING))
    assert found[0] is images and found[1] is anything


@given(shape=st.lists(st.integers(0, 3), min_size=1, max_size=3), free=st.lists(st.booleans(), min_size=3, max_size=3))
def test_only_sizes_that_are_fixed_and_differ_do_not_fit(shape: list[int], free: list[bool]) -> None:
    port = Port(None, None, tuple(None if free[place] else 1 for place in range(len(shape))))
    wrong = [place for place, size in enumerate(shape) if not free[place] and size != 1]
    found = misfit((array(*shape),), (port,))
    if not wrong:
        assert found is None
    else:
        place = wrong[0]
        assert found == f"input 0 has size {shape[place]} in dimension {place}; the model was measured with 1"


def test_what_was_measured_is_that_of_a_batch_else_the_space_files_word() -> None:
    described = (
        InputSpec(shape=(2, "batch", 8), dtype="int64"),
        InputSpec(value=16000, dtype="int64"),
        InputSpec(shape=("batch", 4), dtype="bfloat16"),
    )
    assert measured(described, (), ()) == (
        Port(None, "int64", (2, None, 8)),
        Port(None, "int64", None),
        Port(None, None, (None, 4)),
    )
    assert measured(described, (array(2, 3, 8), array()), (1, None)) == (
        Port(None, "float32", (2, None, 8)),
        Port(None, "float32", ()),
    )
    assert measured((), (array(4, 5),), ()) == (Port(None, "float32", (None, 5)),)
    assert measured((), (), ()) == () and misfit((array(1),), ()) is None


def test_rows_are_along_the_batch_of_each_input() -> None:
    assert rows((array(2, 3, 8), array(3), array()), (1, 0, None)) == [3, 3]
    for shape, axis, message in (
        ((), 0, "input 0 is a single number; give it rows: the first dimension is the batch"),
        ((4,), 1, "input 0 has 1 dimensions; its dimension 1 is the batch"),
    ):
        with pytest.raises(ModelError, match=f"^{message}$"):
            rows((array(*shape),), (axis,))
