"""ONNX Runtime on an ONNX model with a dynamic batch: the user's own file, or the module exported once by torch.onnx.

The measured child needs no torch.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.backends import _onnx
from autotune.core.config import Config
from autotune.core.interfaces import Form, Port, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value
from autotune.hardware.interpreters import missing

if TYPE_CHECKING:
    import numpy as np

packages: tuple[str, ...] = ("onnxruntime",)
optional = ("onnx", "onnxscript")
runs: tuple[Form, ...] = ("module", "onnx")
MODEL = "model.onnx"
QUANTIZER = "onnx.quantize"
"""Who made a model, as onnxruntime.quantization signs its own."""

SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")
DENORMALS = "session.set_denormal_as_zero"
FAST_MATH = "mlas.enable_gemm_fastmath_arm64_bfloat16"

same_answers = ("execution", "arena", "mem_pattern", "spinning")


class Options(Struct):
    """The runtime's defaults, to be changed one by one.

    `precision` int8 is static QDQ quantisation; `graph_level` how far the graph is optimised; `execution` parallel runs
    two operators at a time; `arena` and `mem_pattern` are how memory is kept; `spinning` lets idle threads wait busily;
    `fast_math` computes float32 matrix products in bfloat16 (Arm).
    """

    precision: Literal["float32", "int8"] = "float32"
    graph_level: Literal["disable", "basic", "extended", "layout", "all"] = "all"
    execution: Literal["sequential", "parallel"] = "sequential"
    arena: bool = True
    mem_pattern: bool = True
    spinning: bool = True
    denormals_as_zero: bool = False
    fast_math: bool = False


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    if reason := missing(("onnxruntime", *_onnx.makers(hw)), hw):
        return reason
    if options.precision == "int8" and options.graph_level in ("disable", "basic"):
        return f"at graph_level {options.graph_level} nothing runs in int8; use extended, layout or all"
    version = hw.packages["onnxruntime"]
    if options.execution == "parallel" and _release(version) >= (1, 14):
        return f"onnxruntime {version} runs a CPU's operators one by one in parallel mode too (#16158); use sequential"
    if options.fast_math and not (hw.architecture == "aarch64" and "bf16" in hw.isa):
        return "fast_math needs an Arm CPU with bf16; use precision int8 or another backend's bfloat16"
    return None


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing: all settings are given to the session."""
    return LaunchPatch()


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """float32 is made from the workload itself, int8 from that."""
    return ("onnxruntime", {"precision": "float32"}) if options.precision == "int8" else None


def calibrated(options: Options) -> bool:
    """True if the model is quantised on the workload's inputs."""
    return options.precision == "int8"


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """The precision and its makers' versions, for int8 how it was quantised: the file fits every batch and session."""
    if options.precision == "int8":
        made = (_onnx.CALIBRATION_SAMPLES, *_onnx.recipe(hw).values())
        return ("int8", *made, *((name, hw.packages.get(name)) for name in ("onnxruntime", "onnx")))
    return (options.precision, *((name, hw.packages.get(name)) for name in ("torch", "onnx", "onnxscript")))


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Copy the model's file, export the module with a dynamic batch dimension, or quantise `source`."""
    if options.precision == "int8":
        assert source is not None
        _onnx.quantize(workload, hw, source / MODEL, folder / MODEL)
    elif (file := _onnx.own_file(workload)) is not None:
        _onnx.copy(file, folder / MODEL)
    else:
        _onnx.export(workload, folder / MODEL)


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> OrtSession:
    """A CPU session; threads are explicit, since the automatic ones misread cpusets (onnxruntime#7207, #10113)."""
    import onnxruntime as ort

    assert folder is not None
    settings = _onnx.settings(workload)
    settings.log_severity_level = 3
    for name, value in attributes(options, config.layout.threads).items():
        kind = type(getattr(settings, name))
        setattr(settings, name, getattr(kind, value) if isinstance(value, str) else value)
    for key, text in entries(options).items():
        settings.add_session_config_entry(key, text)
    before = _own_threads()
    session = ort.InferenceSession(folder / MODEL, settings, providers=["CPUExecutionProvider"])
    pool_threads = _own_threads() - before
    inputs = [(given.name, given.shape) for given in session.get_inputs()]
    _onnx.check_batch(workload, inputs, config.workload.batch_size)
    return OrtSession(session, _onnx.names(workload, inputs), pool_threads)


def attributes(options: Options, threads: int) -> dict[str, Value]:
    """The session's options as its attributes, enumerations by name.

    A pool of n starts n - 1 threads. In sequential execution the caller is one more of the intra-op pool; in parallel
    execution it only waits, and two inter-op threads run the operators, each helped by what is left.
    """
    parallel = options.execution == "parallel"
    operators = min(2, threads)
    level = "DISABLE_ALL" if options.graph_level == "disable" else f"ENABLE_{options.graph_level.upper()}"
    return {
        "intra_op_num_threads": threads - operators + 1 if parallel else threads,
        "inter_op_num_threads": operators + 1 if parallel else 1,
        "execution_mode": f"ORT_{options.execution.upper()}",
        "graph_optimization_level": f"ORT_{level}",
        "enable_cpu_mem_arena": options.arena,
        "enable_mem_pattern": options.mem_pattern,
    }


def entries(options: Options) -> dict[str, str]:
    """The session's options as configuration entries, only those that differ from the runtime's default."""
    off = dict.fromkeys(() if options.spinning else SPINNING, "0")
    switches = {DENORMALS: options.denormals_as_zero, FAST_MATH: options.fast_math}
    return off | {key: "1" for key, on in switches.items() if on}


def applied(session: OrtSession, options: Options, config: Config) -> str | None:
    """Counts the threads that the session started, and reads provider, options and the model's maker back from it."""
    # in sequential execution the caller is one more
    threads = session.pool_threads + (options.execution == "sequential")
    if threads != config.layout.threads:
        return f"onnxruntime runs {threads} threads, not {config.layout.threads}"
    if session.ort.get_providers() != ["CPUExecutionProvider"]:
        return f"onnxruntime runs on {session.ort.get_providers()}, not the CPU provider"
    settings = session.ort.get_session_options()
    for name, wanted in attributes(options, config.layout.threads).items():
        got = getattr(settings, name)
        if getattr(got, "name", got) != wanted:
            return f"onnxruntime's {name} is {getattr(got, 'name', got)}, not {wanted}"
    for key, text in entries(options).items():
        if (got := _entry(settings, key)) != text:
            return f"onnxruntime's {key} is {got}, not {text}"
    maker = session.ort.get_modelmeta().producer_name
    if options.precision == "int8" and maker != QUANTIZER:
        return f"the model was made by {maker or 'an unnamed program'}, not quantised by {QUANTIZER}"
    return None


def _entry(settings: Any, key: str) -> str | None:
    try:
        found: str = settings.get_session_config_entry(key)
    except RuntimeError:  # nobody has set it
        return None
    return found


class OrtSession:
    """An InferenceSession called with a feed of arrays, by any number of threads at once as it allows."""

    concurrent = True

    def __init__(self, ort: Any, names: Sequence[str], pool_threads: int) -> None:
        self.ort = ort
        self.pool_threads = pool_threads
        self.output_names = tuple(item.name for item in ort.get_outputs())
        self._names = names

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """The feed: input name -> array."""
        return dict(zip(self._names, arrays, strict=True))

    def __call__(self, batch: Any) -> Any:
        """Run the graph."""
        return self.ort.run(None, batch)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """All outputs in the graph's order; mappings of classes, as trees return them, are rows of their scores."""
        return tuple(map(_scores, result))

    def inputs(self) -> tuple[Port, ...]:
        """The graph's inputs, in the workload's order."""
        graph = {given.name: given for given in self.ort.get_inputs()}
        own = [graph[name] for name in self._names]
        return tuple(Port(one.name, _onnx.dtype(one.type), _onnx.sizes(one.shape)) for one in own)

    def close(self) -> None:
        """Release the session and its threads."""
        del self.ort


def _scores(output: Any) -> Any:
    """An output as it is; one of ZipMap, a mapping of classes to scores for each row, as an array of the scores."""
    if not (isinstance(output, list) and output and isinstance(output[0], dict)):
        return output
    import numpy as np

    return np.array([list(row.values()) for row in output], np.float32)


def _own_threads() -> int:
    """The number of this process's threads, without those that an allocator may start at any time."""
    names = []
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            names.append(Path(f"/proc/self/task/{thread}/comm").read_text())
    return sum(not name.startswith("jemalloc") for name in names)
