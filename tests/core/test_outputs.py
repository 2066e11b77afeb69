from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autotune.core.errors import ModelError
from autotune.core.outputs import label, tensors

ARRAY = np.zeros((2, 3))
Named = namedtuple("Named", ["logits", "hidden"])


@dataclass
class Answer:
    logits: Any
    loss: float | None = None
    cache: Any = None


LAYER = SimpleNamespace(keys=ARRAY, values=ARRAY)
LAYERS = ("0.keys", "0.values", "1.keys", "1.values")
CACHE = SimpleNamespace(layers=[LAYER, LAYER])


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ARRAY, ["output"]),
        ((ARRAY, ARRAY), ["0", "1"]),
        ({"logits": ARRAY, "hidden": (ARRAY, None, ARRAY)}, ["logits", "hidden.0", "hidden.2"]),
        (Named(ARRAY, [ARRAY]), ["logits", "hidden.0"]),
        (Answer(ARRAY, 0.5), ["logits"]),
        (
            Answer(ARRAY, cache=CACHE),
            ["logits", *(f"cache.layers.{i}.{half}" for i in (0, 1) for half in ("keys", "values"))],
        ),
        ([{"boxes": ARRAY, "image": "a.png"}, {"boxes": ARRAY}], ["0.boxes", "1.boxes"]),
        ((ARRAY, 3, "text", True), ["0"]),
        (None, []),
        (3, []),
    ],
)
def test_a_tensor_has_its_place(result: Any, names: list[str]) -> None:
    found = tensors(result)
    assert [name for name, _ in found] == names
    assert all(tensor is ARRAY for _, tensor in found)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (object(), "the output is a object; a model must return tensors, alone or in tuples"),
        ({"text": {1, 2}}, "output 'text' is a set; a model must"),
        ([ARRAY, {"loss": iter(())}], "output '1.loss' is a tuple_iterator; a model must"),
    ],
)
def test_what_is_no_tensor_is_named_with_its_place(result: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        tensors(result)


def test_a_lone_output_needs_no_name() -> None:
    assert (label("output"), label("logits")) == ("the output", "output 'logits'")
