from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.worker.output_names import label, output_names

ARRAY = np.zeros((2, 3))
Named = namedtuple("Named", ["logits", "hidden"])


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ARRAY, ["output"]),
        ((ARRAY, ARRAY), ["0", "1"]),
        ({"logits": ARRAY, "hidden": (ARRAY, None, ARRAY)}, ["logits", "hidden.0", "hidden.2"]),
        (Named(ARRAY, [ARRAY]), ["logits", "hidden.0"]),
        (None, []),
    ],
)
def test_an_output_is_named_by_its_place(result: Any, names: list[str]) -> None:
    assert output_names(result) == names


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3, "the output is a int, not a tensor"),
        ({"text": "abc"}, "output 'text' is a str, not a tensor"),
        ([ARRAY, {"loss": 1.5}], "output '1.loss' is a float, not a tensor"),
    ],
)
def test_what_is_no_tensor_is_named_with_its_place(result: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        output_names(result)


def test_a_lone_output_needs_no_name() -> None:
    assert (label("output"), label("logits")) == ("the output", "output 'logits'")
