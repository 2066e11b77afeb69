from __future__ import annotations

from autotune.workloads._packages import missing
from tests import machines


def test_what_is_missing_is_named_with_the_remedy() -> None:
    hw = machines.hardware(1, packages={"torch": "2.13"})
    assert missing(("torch",), hw) is None
    assert missing(("torch", "timm"), hw) == "timm not installed; pip install timm"
    assert missing(("timm", "onnx"), hw) == "timm and onnx not installed; pip install timm onnx"
