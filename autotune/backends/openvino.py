"""OpenVINO on its own IR, converted from the ONNX model or the torch module; int8 by NNCF's quantisation of that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from autotune.backends import _ir, _onnx, _traced
from autotune.backends._openvino_sessions import OpenvinoSession, QueuedSession
from autotune.core.config import Config
from autotune.core.interfaces import Form, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value
from autotune.hardware.interpreters import missing

if TYPE_CHECKING:
    pass

packages: tuple[str, ...] = ("openvino",)
optional = ("onnx", "onnxscript", "nncf", "torch")
runs: tuple[Form, ...] = ("module", "onnx")
MODEL = "model.xml"
BFLOAT16_ISA = ("amx_bf16", "avx512_bf16")
HALF = {"bfloat16": "bf16", "float16": "f16"}
"""The precisions that are hints, as OpenVINO names them."""

CARRYING = ("Input", "Output", "Convert", "Reorder")
"""Primitives that compute nothing: a model may take and return half precision and compute in float32."""

same_answers = ("hint", "streams", "requests", "pinning")


class Options(Struct):
    """`precision` int8 quantises weights and activations; bfloat16 (x86) and float16 (Arm) are hints to the compiler of
    the float32 model. `frontend` is what that is converted from: the ONNX model, or the torch module as it is traced.

    `streams` are how many calls may run at once, each on its share of the worker's threads, so at most one a thread;
    with a `hint` OpenVINO chooses them. `requests` are how many calls are in flight; 0 is as many as it then advises.
    """

    precision: Literal["float32", "bfloat16", "float16", "int8"] = "float32"
    frontend: Literal["onnx", "torch"] = "onnx"
    hint: Literal["none", "latency", "throughput"] = "none"
    streams: Annotated[int, msgspec.Meta(ge=1)] = 1
    requests: Annotated[int, msgspec.Meta(ge=0)] = 1
    pinning: bool = False


def domains(hw: Hardware) -> dict[str, tuple[Value, ...]]:
    """`auto` for streams and requests: powers of two up to the number of cores, and that; for requests also 0."""
    cores = len(hw.cores)
    counts = (*(2**i for i in range(cores.bit_length()) if 2**i < cores), cores)
    return {"streams": counts, "requests": (*counts, 0)}


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    makers = ["torch"] if options.frontend == "torch" else _onnx.makers(hw)
    needed = ["openvino", *makers, *(["nncf"] if options.precision == "int8" else [])]
    if reason := missing(needed, hw):
        return reason
    if options.precision == "bfloat16" and not set(BFLOAT16_ISA) & set(hw.isa):
        half = "; write float16" if hw.architecture == "aarch64" else ""
        return f"OpenVINO's bfloat16 needs AMX or AVX512_BF16; this CPU has neither{half}"
    if options.precision == "float16" and hw.architecture != "aarch64":
        return f"OpenVINO's float16 is for Arm CPUs; this machine is {hw.architecture}"
    if options.hint != "none" and options.streams != 1:
        return f"hint {options.hint} chooses the streams itself; use streams 1 or hint none"
    if options.hint == "none" and options.requests == 0:
        return "requests 0 asks for what a hint advises; use hint latency or throughput, or name the requests"
    return None


def without_effect(options: Options, config: Config) -> str | None:
    """Reason why an option changes nothing in a configuration: a stream needs a thread and a request of its own."""
    if options.streams > config.layout.threads:
        return f"a worker of {config.layout.threads} threads has no use for {options.streams} streams"
    if 0 < options.requests < options.streams:
        return f"{options.requests} requests in flight cannot keep {options.streams} streams busy"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """oneTBB loads hwloc with RTLD_DEEPBIND, which crashes or hangs under a preloaded allocator (oneTBB#1645)."""
    return LaunchPatch(env={"TBB_ENABLE_SANITIZERS": "1"})


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """int8 is made from the float32 IR: quantising a torch module takes 2-5 times longer."""
    if options.precision == "int8":
        return "openvino", {"precision": "float32", "frontend": options.frontend}
    return ("onnxruntime", {"precision": "float32"}) if options.frontend == "onnx" else None


def calibrated(options: Options) -> bool:
    """True if the model is quantised on the workload's inputs."""
    return options.precision == "int8"


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """The IR's precision, that of hints being float32, and its makers' versions; it fits every batch.

    It fits every CPU, too, but int8 is another one where sums saturate.
    """
    names = ["openvino", *(["torch"] if options.frontend == "torch" else [])]
    names += ["nncf"] if options.precision == "int8" else []
    precision = ("int8", hw.saturates) if options.precision == "int8" else ("float32",)
    return (*precision, _onnx.CALIBRATION_SAMPLES, *((name, hw.packages.get(name)) for name in names))


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Convert the workload's module or `source`, or quantise the latter, into an IR in `folder`."""
    import openvino

    if options.precision == "int8":
        assert source is not None
        model = _ir.quantized(workload, hw, openvino.Core().read_model(source / MODEL))
    elif options.frontend == "torch":
        model = _traced.model(workload)
    else:
        assert source is not None
        model = _ir.converted(source / "model.onnx")
    openvino.save_model(model, folder / MODEL, compress_to_fp16=False)


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> OpenvinoSession:
    """The model compiled for the worker's own threads, always named: automatic ones ignore a quota (openvino#37838)."""
    import openvino

    assert folder is not None
    core = openvino.Core()
    model = core.read_model(folder / MODEL)
    inputs = _ir.inputs(model)
    _onnx.check_batch(workload, inputs, config.workload.batch_size)
    compiled = core.compile_model(model, "CPU", settings(options, config.layout.threads))
    given = _onnx.names(workload, inputs)
    places = [given.index(name) for name, _ in inputs]
    if options.requests == 1:
        return OpenvinoSession(compiled, options.hint, places)
    return QueuedSession(compiled, options.hint, places, options.requests)


def settings(options: Options, threads: int) -> dict[str, Value]:
    """The properties to compile with; the worker's affinity mask is ours, so the default is no pinning."""
    parallel: dict[str, Value] = {"PERFORMANCE_HINT": options.hint.upper()}
    if options.hint == "none":
        parallel = {"NUM_STREAMS": min(options.streams, threads)}
    return parallel | {
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": options.pinning,
        "INFERENCE_PRECISION_HINT": HALF.get(options.precision, "f32"),
    }


def applied(session: OpenvinoSession, options: Options, config: Config) -> str | None:
    """Reads the properties and the executed primitives' precision back from the compiled model, and counts requests."""
    threads = session.compiled.get_property("INFERENCE_NUM_THREADS")
    if threads != config.layout.threads:
        return f"openvino runs {threads} threads, not {config.layout.threads}"
    for name, wanted in settings(options, threads).items():
        if name == "INFERENCE_PRECISION_HINT":
            continue
        if (got := session.compiled.get_property(name)) != wanted:
            return f"openvino's {name} is {got}, not {wanted}"
    if reason := _precision(session, options):
        return reason
    if options.requests == 1:
        return None
    assert isinstance(session, QueuedSession)
    wanted = options.requests or session.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    if session.requests != wanted:
        return f"openvino has {session.requests} requests, not {wanted}"
    return None if session.overlap() else f"{wanted} requests cannot be in flight at once"


def _precision(session: OpenvinoSession, options: Options) -> str | None:
    infos = [op.get_rt_info() for op in session.compiled.get_runtime_model().get_ops()]
    executed = {info["runtimePrecision"].astype(str) for info in infos if info["layerType"].astype(str) not in CARRYING}
    found = ", ".join(sorted(executed))
    half = HALF.get(options.precision)
    if half is None and executed & set(HALF.values()):
        return f"the compiled model runs in {found}, not in {options.precision}"
    if half is not None and half not in executed:
        return f"no operation of the compiled model runs in {options.precision}; it runs in {found}"
    if options.precision == "int8" and not executed & {"i8", "u8"}:
        return f"no operation of the compiled model runs in int8; it runs in {found}"
    return None
