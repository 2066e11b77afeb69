"""A backend whose answers are wrong: one layer's weights doubled, int8 calibrated on zeros, or NaN now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from autotune.backends import _onnx, onnxruntime
from autotune.core.config import Config
from autotune.core.interfaces import Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value

packages: tuple[str, ...] = ("onnxruntime",)
runs = ("module",)
MODEL = onnxruntime.MODEL


class Options(Struct):
    """`mode`: what is wrong."""

    mode: Literal["doubled", "blind", "nan"] = "doubled"


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Always there."""
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing."""
    return LaunchPatch()


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """ONNX Runtime's float32 model."""
    return "onnxruntime", {"precision": "float32"}


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """A model for each."""
    return (options.mode,)


class Blind:
    """A workload whose rows for calibration are all the same."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload

    def __getattr__(self, name: str) -> Any:
        return getattr(self.workload, name)

    def calibration(self, least: int) -> tuple[np.ndarray[Any, Any], ...]:
        """Zeros."""
        return tuple(array * 0 for array in self.workload.calibration(least))


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Quantise as ONNX Runtime's backend does, or double the first layer's weights."""
    import onnx
    from onnx import numpy_helper

    assert source is not None
    if options.mode == "blind":
        blind: Any = Blind(workload)
        _onnx.quantize(blind, hw, source / MODEL, folder / MODEL)
        return
    model = onnx.load(source / MODEL)
    (first,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith("first.weight")]
    if options.mode == "doubled":
        first.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(first), first.name))
    onnx.save(model, folder / MODEL)


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> Any:
    """The model as ONNX Runtime's backend loads it."""
    precision: Any = "int8" if options.mode == "blind" else "float32"
    session = onnxruntime.load(workload, onnxruntime.Options(precision=precision), config, folder)
    return Forgetful(session) if options.mode == "nan" else session


class Forgetful(onnxruntime.OrtSession):
    """Knows no answer to the first sample of a batch."""

    def __init__(self, session: onnxruntime.OrtSession) -> None:
        self.__dict__ |= session.__dict__

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """All outputs, the first row NaN."""
        found = super().outputs(result)
        for array in found:
            array[0] = np.nan
        return found


def applied(session: Any, options: Options, config: Config) -> str | None:
    """It has no settings."""
    return None
