"""OpenVINO on its own IR, converted from the ONNX model; int8 by NNCF's post-training quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.interfaces import Workload
from autotune.types import Config, Hardware, LaunchPatch, Struct, Value

if TYPE_CHECKING:
    import numpy as np

packages: tuple[str, ...] = ("openvino",)
MODEL = "model.xml"
CALIBRATION_SAMPLES = 64


class Options(Struct):
    """`precision: int8` quantises weights and activations."""

    precision: Literal["float32", "int8"] = "float32"


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    needed = ["openvino", "torch", "onnx", "onnxscript", *(["nncf"] if options.precision == "int8" else [])]
    missing = [name for name in needed if name not in hw.packages]
    return f"{', '.join(missing)} not installed; pip install {' '.join(missing)}" if missing else None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """oneTBB loads hwloc with RTLD_DEEPBIND, which crashes or hangs under a preloaded allocator (oneTBB#1645)."""
    return LaunchPatch(env={"TBB_ENABLE_SANITIZERS": "1"})


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """float32 comes from the ONNX model, int8 from the float32 IR: quantising a torch module takes 2-5 times longer."""
    if options.precision == "int8":
        return "openvino", {"precision": "float32"}
    return "onnxruntime", {"precision": "float32"}


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """The precision and the converter's versions; the IR fits every batch size, thread count and CPU."""
    names = ("openvino", "nncf") if options.precision == "int8" else ("openvino",)
    return (options.precision, CALIBRATION_SAMPLES, *((name, hw.packages.get(name)) for name in names))


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Convert or quantise `source` into an IR in `folder`."""
    import openvino

    assert source is not None
    if options.precision == "float32":
        model = openvino.convert_model(source / "model.onnx")
    else:
        import nncf

        rows = workload.arrays(CALIBRATION_SAMPLES)
        names = [f"input_{index}" for index in range(len(rows))]
        samples = [
            {name: array[i : i + 1] for name, array in zip(names, rows, strict=True)} for i in range(len(rows[0]))
        ]
        model = nncf.quantize(
            openvino.Core().read_model(source / MODEL), nncf.Dataset(samples), subset_size=CALIBRATION_SAMPLES
        )
    openvino.save_model(model, folder / MODEL, compress_to_fp16=False)


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> OpenvinoSession:
    """The model compiled for one stream on the worker's own threads; the affinity mask is ours, so no pinning."""
    import openvino

    assert folder is not None
    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": config.layout.threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    return OpenvinoSession(core.compile_model(core.read_model(folder / MODEL), "CPU", settings))


def applied(session: OpenvinoSession, options: Options, config: Config) -> str | None:
    """Reads threads and the executed primitives' precision back from the compiled model."""
    threads = session.compiled.get_property("INFERENCE_NUM_THREADS")
    if threads != config.layout.threads:
        return f"openvino runs {threads} threads, not {config.layout.threads}"
    executed = {
        op.get_rt_info()["runtimePrecision"].astype(str) for op in session.compiled.get_runtime_model().get_ops()
    }
    if options.precision == "float32" and executed & {"bf16", "f16"}:
        return f"the compiled model runs in {', '.join(sorted(executed))}, not in float32"
    if options.precision == "int8" and not executed & {"i8", "u8"}:
        return f"no operation of the compiled model runs in int8; it runs in {', '.join(sorted(executed))}"
    return None


class OpenvinoSession:
    """A compiled model with one infer request of its own."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self._request = compiled.create_infer_request()

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """The inputs by position."""
        return list(arrays)

    def __call__(self, batch: Any) -> Any:
        """Run the model; the outputs are views that the next call overwrites."""
        return self._request.infer(batch, share_inputs=True, share_outputs=True)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """All outputs in the model's order, copied."""
        return tuple(result[port].copy() for port in self.compiled.outputs)

    def close(self) -> None:
        """Release the model."""
        del self._request, self.compiled
