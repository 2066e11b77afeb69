"""int8 by torchao: static PT2E quantisation once, then inductor with freezing in the measured child.

The quantised program is kept as torch.export writes it; loading it needs torch alone. What inductor makes of it cannot
be kept: packed weights cannot be written down.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.backends import _export, torch_compile, torch_eager
from autotune.backends._onnx import CALIBRATION_SAMPLES
from autotune.core import rows
from autotune.core.config import Config
from autotune.core.interfaces import Port, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.rows import Axes
from autotune.core.struct import Struct
from autotune.hardware.interpreters import missing

if TYPE_CHECKING:
    from autotune.core.rows import Arrays

packages: tuple[str, ...] = ("torch", "torchao")
runs = torch_eager.runs
source = torch_eager.source

PROGRAM = "quantized.pt2"
CALIBRATION_BATCH = 8


class Options(Struct):
    """`memory_format` of 4-D inputs; `mode: max-autotune` also times inductor's own int8 kernels against oneDNN's."""

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    mode: Literal["default", "max-autotune"] = "default"

    @property
    def precision(self) -> str:
        """The precision of operators that are not quantised: float32."""
        return "float32"


def compiling(options: Options) -> torch_compile.Options:
    """Options of torch_compile for the quantised program; quantised operators need inductor's freezing passes."""
    return torch_compile.Options(memory_format=options.memory_format, mode=options.mode, freezing=True)


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    if reason := torch_compile.unavailable(compiling(options), hw):
        return reason
    if reason := missing(packages, hw):
        return reason
    if hw.architecture not in ("x86_64", "aarch64"):
        return f"torchao has inductor quantizers for x86_64 and aarch64 only; this machine is {hw.architecture}"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """As torch_compile with freezing."""
    return torch_compile.launch(compiling(options), config, hw)


def calibrated(options: Options) -> bool:
    """Always: it is quantised on the workload's inputs."""
    return True


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """The makers' versions and the recipe: the program fits every batch size, thread count and memory format."""
    return (hw.packages.get("torch"), hw.packages.get("torchao"), hw.architecture, hw.saturates, CALIBRATION_SAMPLES)


def quantizer(hw: Hardware) -> Any:
    """torchao's quantizer for this architecture with its default recipe; activations of 7 bits where sums saturate."""
    if hw.architecture == "aarch64":
        from torchao.quantization.pt2e.quantizer import arm_inductor_quantizer as arm

        return _of_floats(arm.ArmInductorQuantizer().set_global(arm.get_default_arm_inductor_quantization_config()))
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    recipe = x86.get_default_x86_inductor_quantization_config(reduce_range=hw.saturates)
    return _of_floats(x86.X86InductorQuantizer().set_global(recipe))


def _of_floats(quantizer: Any) -> Any:
    """The quantizer without its notes on whole numbers: it would quantise the products that make MPNet's positions."""
    annotate = quantizer.annotate

    def annotate_floats(graph: Any) -> Any:
        found = annotate(graph)
        for node in found.graph.nodes:
            note = node.meta.get("quantization_annotation")
            if note is not None and not all(map(_is_float, (node, *note.input_qspec_map))):
                del node.meta["quantization_annotation"]
        return found

    quantizer.annotate = annotate_floats
    return quantizer


def _is_float(node: Any) -> bool:
    value = node.meta.get("val")
    return not hasattr(value, "is_floating_point") or bool(value.is_floating_point())


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Quantise the float32 module, calibrated on the workload's rows for that, with a dynamic batch dimension.

    strict: on what torch.export captures otherwise, the x86 quantizer fails for some models (torchao 0.18, ResNet).
    """
    import torch

    with torch.no_grad():
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

        axes, whole = workload.batch_axes, workload.calibration(CALIBRATION_SAMPLES)
        example = _tensors(whole, axes, range(_export.EXAMPLE_ROWS))
        captured = _export.program(_export.flat(workload.module()), example, axes, strict=True)
        observed = prepare_pt2e(captured.module(), quantizer(hw))
        for begin in range(0, rows.count(whole, axes) - CALIBRATION_BATCH + 1, CALIBRATION_BATCH):
            observed(*_tensors(whole, axes, range(begin, begin + CALIBRATION_BATCH)))
        quantized = convert_pt2e(observed)
        _drop_unused(quantized)
        torch.export.save(_export.program(_export.flat(quantized), example, axes), folder / PROGRAM)


def _tensors(whole: Arrays, axes: Axes, batch: range) -> list[Any]:
    import torch

    return [torch.from_numpy(array) for array in rows.taken(whole, axes, batch)]


def _drop_unused(graph: Any) -> None:
    """Converting leaves the float weights in the module, beside the quantised ones and four times their size."""
    used = {node.target for node in graph.graph.nodes if node.op in ("get_attr", "call_module")}
    for name, _ in [*graph.named_parameters(), *graph.named_buffers()]:
        owner, _, attribute = name.rpartition(".")
        if not any(f"{name}.".startswith(f"{target}.") for target in used):
            delattr(graph.get_submodule(owner), attribute)


class Int8Session(torch_compile.CompiledSession):
    """The compiled program, which takes what it was exported with."""

    def __init__(self, program: Any, model: Any, options: Options) -> None:
        super().__init__(model, options)
        self._inputs = _export.inputs(program)

    def inputs(self) -> tuple[Port, ...]:
        """The program's inputs."""
        return self._inputs


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> Int8Session:
    """The quantised program wrapped by torch.compile; the first call compiles it."""
    import torch
    import torch.ao.quantization.fx._decomposed  # registers the operators of the saved program

    assert folder is not None
    program = torch.export.load(folder / PROGRAM)
    return Int8Session(program, torch_eager.module(program, options, config), options)


def applied(session: torch_compile.CompiledSession, options: Options, config: Config) -> str | None:
    """As torch_compile with freezing, and that the compiled graph really has quantised operators."""
    from torch._dynamo.utils import counters

    quantized = [name for name in counters["inductor"] if name.startswith(("qconv", "qlinear")) and "_lower_" in name]
    if not quantized:
        return "no operation of the compiled graph runs in int8"
    return torch_compile.applied(session, compiling(options), config)
