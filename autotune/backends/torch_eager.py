"""The plain torch module under inference_mode, as the articles' first row runs it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.core import outputs
from autotune.core.config import Config
from autotune.core.interfaces import Form, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value
from autotune.hardware.interpreters import missing

if TYPE_CHECKING:
    import numpy as np

packages: tuple[str, ...] = ("torch",)
runs: tuple[Form, ...] = ("module",)

BFLOAT16_ISA = ("amx_bf16", "avx512_bf16", "bf16")


class Options(Struct):
    """`precision: bfloat16` is autocast; `memory_format` applies to the weights and to 4-D inputs."""

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    precision: Literal["float32", "bfloat16"] = "float32"


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    if reason := missing(packages, hw):
        return reason
    if options.precision == "bfloat16" and not set(BFLOAT16_ISA) & set(hw.isa):
        return "bfloat16 needs AMX, AVX512_BF16 or Arm bf16; this CPU has none, and emulated it is 3 times slower"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing: threads and preload belong to the knobs."""
    return LaunchPatch()


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """Made from the workload itself."""
    return None


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """Nothing to prepare: building the module is quick and keeps weights in ordinary memory."""
    return None


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Never called: there is no cache_key."""
    raise AssertionError("torch_eager prepares nothing")


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> TorchSession:
    """The module ready to run, on as many threads as the layout gives a worker."""
    return TorchSession(module(workload, options, config), options)


class TorchSession:
    """A torch callable with what must surround each call."""

    def __init__(self, call: Any, options: Any) -> None:
        import torch

        self.model = call
        self.options = options
        self.first: Any = None
        self._inference_mode = torch.inference_mode
        self._bfloat16 = torch.bfloat16 if options.precision == "bfloat16" else None
        self._autocast = torch.autocast

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """Tensors, 4-D ones in the chosen memory format; the first of all are kept for the proofs."""
        import torch

        tensors = [torch.from_numpy(array) for array in arrays]
        if self.options.memory_format == "channels_last":
            tensors = [t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for t in tensors]
        if self.first is None:
            self.first = tensors
        return tensors

    def __call__(self, batch: Any) -> Any:
        """Run the module."""
        return self.run(self.model, batch)

    def run(self, call: Any, batch: Any) -> Any:
        """Call without autograd and, for bfloat16, under autocast."""
        precision = self._autocast("cpu", self._bfloat16) if self._bfloat16 else contextlib.nullcontext()
        with self._inference_mode(), precision:
            return call(*batch)

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """The tensors of the result, in order, as float32 or integer arrays."""
        return tuple(array(tensor) for tensor in flatten(result))

    def close(self) -> None:
        """Nothing to release."""


def module(workload: Workload, options: Any, config: Config) -> Any:
    """The workload's module with threads set and weights in the chosen memory format.

    The code that builds it may have set threads itself, so ours are set after that.
    """
    import torch

    torch.set_num_threads(config.layout.threads)
    model = workload.module()
    torch.set_num_threads(config.layout.threads)
    if options.memory_format == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    return model


def applied(session: TorchSession, options: Any, config: Config) -> str | None:
    """Why a setting is not in effect, or None; for the torch backends: threads, memory format, precision."""
    import torch

    if torch.get_num_threads() != config.layout.threads:
        return f"torch runs {torch.get_num_threads()} threads, not {config.layout.threads}"
    if options.memory_format == "channels_last":
        weights = [(name, weight) for name, weight in session.model.named_parameters() if weight.ndim == 4]
        if not weights and (reason := without_images(session)):
            return reason
        for name, weight in weights:
            if not weight.is_contiguous(memory_format=torch.channels_last):
                return f"weight {name} is not channels_last"
    if options.precision == "bfloat16" and torch.bfloat16 not in computed(session):
        return "no operation of a call computes in bfloat16"
    return None


def without_images(session: TorchSession) -> str | None:
    """Why the inputs cannot be channels_last, or None."""
    if any(tensor.ndim == 4 for tensor in session.first or ()):
        return None
    return "channels_last needs 4-D inputs; this model has none"


def computed(session: TorchSession) -> set[Any]:
    """The types of what the operations of one call of the module return; those that only convert do not count."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    dtypes: set[Any] = set()

    class Watch(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = operator(*args, **(kwargs or {}))
            if operator is not torch.ops.aten._to_copy.default:
                results = result if isinstance(result, tuple | list) else (result,)
                dtypes.update(one.dtype for one in results if isinstance(one, torch.Tensor))
            return result

    with Watch():
        session.run(session.model, session.first)
    return dtypes


def flatten(result: Any) -> list[Any]:
    """The tensors in what a model returns, in the order of `outputs.tensors`."""
    return [tensor for _, tensor in outputs.tensors(result)]


def array(tensor: Any) -> np.ndarray[Any, Any]:
    """A tensor as an array; bfloat16, which numpy has not, as float32."""
    import torch

    tensor = tensor.detach()
    converted: np.ndarray[Any, Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return converted
