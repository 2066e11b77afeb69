"""A loaded model that eight threads call at once: each gets the answers to its own batch, whatever runs it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from autotune.core.struct import Value
from autotune.hardware import probe
from tests.apply import tiny
from tests.place import Place

CALL = """
import torch
from concurrent.futures import ThreadPoolExecutor
model, _ = said(load, "best.json")
batches = [torch.randn(2, 3, 8, 8) for _ in range(24)]
alone = [model(batch)["logits"] for batch in batches]
with ThreadPoolExecutor(8) as pool:
    together = list(pool.map(lambda number: model(batches[number % 24])["logits"], range(240)))
told["wrong"] = sum(not torch.allclose(got, alone[i % 24], atol=1e-5) for i, got in enumerate(together))
told["apart"] = min((alone[0] - other).abs().max().item() for other in alone[1:])
told["backend"], told["concurrent"] = model.best.config.backend, model._concurrent
model.close()
"""


def needs(*packages: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(any(find_spec(one) is None for one in packages), reason=f"needs {packages}")


ONNX = ("torch", "onnx", "onnxscript", "onnxruntime")
COMPILED = [needs("torch"), pytest.mark.skipif(probe.probe().compiler is None, reason="needs g++"), pytest.mark.slow]


@pytest.mark.parametrize(
    ("backend", "options", "concurrent"),
    [
        pytest.param("torch_eager", {}, False, marks=needs("torch")),
        pytest.param("onnxruntime", {}, True, marks=needs(*ONNX)),
        pytest.param("openvino", {}, True, marks=[needs(*ONNX, "openvino"), pytest.mark.slow]),
        pytest.param("openvino", {"requests": 2}, True, marks=needs(*ONNX, "openvino")),
        pytest.param("torch_compile", {}, False, marks=COMPILED),
        pytest.param("torch_aot", {}, False, marks=COMPILED),
        pytest.param("torch_int8", {}, False, marks=[*COMPILED, needs("torchao")]),
    ],
)
def test_no_answer_is_swapped(place: Place, backend: str, options: dict[str, Value], concurrent: bool) -> None:
    tiny.best(place.folder, backend, options)
    found: dict[str, Any] = tiny.told(place, CALL)
    assert found["apart"] > 1e-3  # a swapped answer would be seen
    assert (found["backend"], found["concurrent"], found["wrong"]) == (backend, concurrent, 0)
