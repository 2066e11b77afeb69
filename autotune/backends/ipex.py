"""Intel Extension for PyTorch: `ipex.optimize`, run eagerly, traced, or compiled by its own torch.compile backend.

IPEX ended with 2.8.0, which needs torch 2.8: it runs in another environment (`python -m autotune environments`). The
calls are those of its documentation (https://intel.github.io/intel-extension-for-pytorch/cpu/2.8.0+cpu/).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from autotune.backends import _export, torch_compile, torch_eager
from autotune.core.config import Config
from autotune.core.interfaces import Port, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct

IPEX = "intel-extension-for-pytorch"
packages: tuple[str, ...] = ("torch", IPEX)
runs = torch_eager.runs
source = torch_eager.source
cache_key = torch_eager.cache_key
prepare = torch_eager.prepare


class Options(Struct):
    """As torch_eager; `graph` is what runs the optimised module: TorchScript (traced and frozen), torch.compile with
    the backend `ipex`, or nothing.
    """

    memory_format: Literal["contiguous", "channels_last"] = "channels_last"
    precision: Literal["float32", "bfloat16"] = "float32"
    graph: Literal["trace", "compile", "eager"] = "trace"


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    if options.graph == "compile":
        reason = torch_compile.unavailable(torch_compile.Options(precision=options.precision), hw)
    else:
        reason = torch_eager.unavailable(torch_eager.Options(precision=options.precision), hw)
    if reason:
        return reason
    if hw.architecture != "x86_64":
        return f"IPEX is for x86_64; this machine is {hw.architecture}"
    if IPEX not in hw.packages:
        return f"{IPEX} (2.8.0 is its last, for torch 2.8) not installed; see `python -m autotune environments`"
    torch, ipex = (".".join(hw.packages[name].split(".")[:2]) for name in packages)
    if torch != ipex:
        return f"IPEX {ipex} needs torch {ipex}, not {torch}; see `python -m autotune environments`"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """As torch_compile where the backend `ipex` compiles with inductor; inductor's cache, which IPEX always opens."""
    if options.graph == "compile":
        return torch_compile.launch(torch_compile.Options(), config, hw)
    return LaunchPatch(env=dict(torch_compile.CACHE))


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> torch_eager.TorchSession:
    """The optimised module; tracing happens here, torch.compile at the first call.

    With torch.compile the weights are left unpacked, as the documentation has it.
    """
    import torch

    model = torch_eager.module(workload, options, config)
    import intel_extension_for_pytorch as ipex  # right after torch: it registers its operators and fusions

    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    if options.graph == "compile":
        optimized = ipex.optimize(model, dtype=dtype, weights_prepack=False)
        return torch_compile.CompiledSession(optimized, options, backend="ipex")
    optimized = ipex.optimize(model, dtype=dtype)
    if options.graph == "eager":
        return torch_eager.TorchSession(optimized, options)
    return TracedSession(optimized, options, workload.arrays(config.workload.batch_size))


class TracedSession(torch_eager.TorchSession):
    """The optimised module traced and frozen; `model` stays the module for the proofs."""

    def __init__(self, model: Any, options: Any, example: Any) -> None:
        import torch

        super().__init__(model, options)
        half = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16")
        with torch.no_grad(), half:
            # the outputs of a traced and those of an eager call differ by rounding, which a check would refuse
            traced = torch.jit.trace(_export.flat(model).eval(), tuple(self.convert(example)), check_trace=False)
            self.traced = torch.jit.freeze(traced)
        self._inputs = tuple(Port(None, str(array.dtype), (None, *array.shape[1:])) for array in example)

    def __call__(self, batch: Any) -> Any:
        """Run the traced graph."""
        return self.run(self.traced, batch)

    def inputs(self) -> tuple[Port, ...]:
        """The inputs as they were traced: sizes may have become constants of the graph."""
        return self._inputs


def applied(session: Any, options: Options, config: Config) -> str | None:
    """As torch_eager, that IPEX replaced modules by its own, and that the graph which was asked for is what runs.

    Packed weights have a layout of oneDNN's, so only the inputs bear the memory format.
    """
    import torch

    if options.graph == "compile":
        return torch_compile.applied(session, torch_compile.Options(precision=options.precision), config)
    if not any(type(part).__module__.startswith("intel_extension_for_pytorch") for part in session.model.modules()):
        return "ipex.optimize replaced no module"
    if options.graph == "trace" and not isinstance(session.traced, torch.jit.ScriptModule):
        return f"the traced graph is a {type(session.traced).__name__}, not a TorchScript module"
    return torch_eager.applied(session, torch_eager.Options(precision=options.precision), config)
