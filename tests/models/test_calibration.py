from __future__ import annotations

from typing import Any

import msgspec
import pytest

from autotune.core.struct import Value
from autotune.core.workload_spec import DataSpec, InputSpec, WorkloadSpec
from autotune.models import calibration
from autotune.space import configs
from tests.study import fakes

DRAWN = (InputSpec(shape=("batch", 8)),)
REAL = DataSpec(source="rows.npz", metric=None)


def workload(model: str, **given: Any) -> WorkloadSpec:
    return WorkloadSpec(model=model, **{"inputs": (), **given})


@pytest.mark.parametrize(
    ("spec", "different", "doubt"),
    [
        (workload("python:net.py:build", inputs=DRAWN), None, "generated inputs"),
        (workload("python:net.py:build", inputs=DRAWN), 0, "generated inputs"),
        (workload("onnx:/net.onnx"), None, "generated inputs"),
        (workload("timm:x", options={"weights": "w.pt"}), None, "generated inputs"),
        (workload("torchvision:x", inputs=DRAWN, options={"weights": "w.pt"}), None, "generated inputs"),
        (workload("python:net.py:build"), None, None),  # nobody has counted its examples
        (workload("python:net.py:build"), 1, "one example row"),
        (workload("exported:net.pt2"), 7, "7 different rows"),
        (workload("exported:net.pt2"), 8, None),
        (workload("onnx:/net.onnx", data=REAL), None, None),
        (workload("onnx:/net.onnx", data=REAL), 3, "3 different rows"),
        (workload("onnx:/net.onnx", data=REAL), 1000, None),
        # With random weights nothing is claimed of answers.
        (workload("torchvision:x", inputs=DRAWN), None, None),
        (workload("torchvision:x", data=REAL), 1, None),
        (workload("transformers:mpnet"), 0, None),
        (workload("command:./bench"), 0, None),
    ],
)
def test_int8_needs_eight_different_real_rows(spec: WorkloadSpec, different: int | None, doubt: str | None) -> None:
    assert calibration.doubt(spec, different) == doubt
    reason = calibration.refusal(spec, different)
    if doubt is None:
        assert reason is None
    else:
        assert reason is not None and reason.startswith(f"int8 would be calibrated and judged on {doubt}: give eight")
        allowed = msgspec.structs.replace(spec, allow=("generated_calibration",))
        assert calibration.refusal(allowed, different) is None
        assert calibration.doubt(allowed, different) == doubt  # it is searched, and not judged


@pytest.mark.parametrize(
    ("backend", "options", "quantised"),
    [
        ("torch_int8", {}, True),
        ("onnxruntime", {"precision": "int8"}, True),
        ("onnxruntime", {}, False),
        ("openvino", {"precision": "int8"}, True),
        ("openvino", {"precision": "bfloat16"}, False),
        ("torch_eager", {}, False),
    ],
)
def test_a_backend_says_what_it_quantises(backend: str, options: dict[str, Value], quantised: bool) -> None:
    config = configs.configure(fakes.machine(), batch_size=1, backend=backend, options=options)
    assert calibration.calibrated(config) is quantised
