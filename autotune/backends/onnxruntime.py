"""ONNX Runtime on the model exported once by torch.onnx, with a dynamic batch; the measured child needs no torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.interfaces import Workload
from autotune.types import Config, Hardware, LaunchPatch, Struct, Value

if TYPE_CHECKING:
    import numpy as np

packages: tuple[str, ...] = ("onnxruntime",)
MODEL = "model.onnx"


class Options(Struct):
    """`precision` of the exported graph."""

    precision: Literal["float32"] = "float32"


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    missing = [name for name in ("onnxruntime", "torch", "onnx", "onnxscript") if name not in hw.packages]
    return f"{', '.join(missing)} not installed; pip install {' '.join(missing)}" if missing else None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing: thread counts are given to the session."""
    return LaunchPatch()


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """Made from the workload itself."""
    return None


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """The precision and the exporter's versions: the file fits every batch size, thread count and CPU."""
    return (options.precision, *((name, hw.packages.get(name)) for name in ("torch", "onnx", "onnxscript")))


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Export the float32 module with a dynamic batch dimension."""
    import torch

    model = workload.module()
    example = tuple(torch.from_numpy(array) for array in workload.arrays(2))
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        model,
        example,
        folder / MODEL,
        input_names=[f"input_{index}" for index in range(len(example))],
        dynamic_shapes=tuple({0: batch} for _ in example),
        dynamo=True,
        verbose=False,
    )


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> OrtSession:
    """A CPU session; threads are explicit, since the automatic ones misread cpusets (onnxruntime#7207, #10113)."""
    import onnxruntime as ort

    assert folder is not None
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = config.layout.threads
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    before = _own_threads()
    session = ort.InferenceSession(folder / MODEL, settings, providers=["CPUExecutionProvider"])
    return OrtSession(session, pool_threads=_own_threads() - before)


def applied(session: OrtSession, options: Options, config: Config) -> str | None:
    """Counts the threads that the session started (the caller is one more), and reads its provider back."""
    threads = session.pool_threads + 1
    if threads != config.layout.threads:
        return f"onnxruntime runs {threads} threads, not {config.layout.threads}"
    if session.ort.get_providers() != ["CPUExecutionProvider"]:
        return f"onnxruntime runs on {session.ort.get_providers()}, not the CPU provider"
    return None


class OrtSession:
    """An InferenceSession called with a feed of arrays."""

    def __init__(self, ort: Any, pool_threads: int) -> None:
        self.ort = ort
        self.pool_threads = pool_threads
        self._names = [item.name for item in ort.get_inputs()]

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """The feed: input name -> array."""
        return dict(zip(self._names, arrays, strict=True))

    def __call__(self, batch: Any) -> Any:
        """Run the graph."""
        return self.ort.run(None, batch)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """All outputs in the graph's order."""
        return tuple(result)

    def close(self) -> None:
        """Release the session and its threads."""
        del self.ort


def _own_threads() -> int:
    return len(os.listdir("/proc/self/task"))
