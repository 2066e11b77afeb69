"""torch.compile with inductor; compiled in the measured child and charged to its set-up.

Without freezing inductor's cache (kept inside ours) makes the second start quicker; frozen graphs cannot be cached.
Everything is set by inductor's environment variables, so that a program started with them compiles alike and that what
is in effect can be read back. Of torch.compile's modes `reduce-overhead` is left out: it turns on CUDA graphs and
nothing else (`torch._inductor.list_mode_options`, torch 2.13), and what `max-autotune` sets beside the tuning itself
concerns GPUs as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autotune.backends import _export, torch_eager
from autotune.core import rows
from autotune.core.config import Config
from autotune.core.interfaces import Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.rows import Axes
from autotune.core.struct import Struct

if TYPE_CHECKING:
    import numpy as np

packages = torch_eager.packages
runs = torch_eager.runs
source = torch_eager.source
cache_key = torch_eager.cache_key
prepare = torch_eager.prepare

CACHE = {"TORCHINDUCTOR_CACHE_DIR": "{cache}/inductor", "TMPDIR": "{cache}/inductor"}
"""Inductor's cache inside ours: its precompiled headers (150 MB) lie under TMPDIR whatever the cache's own place is."""


class Options(Struct):
    """As torch_eager; `freezing` folds the weights into the graph as constants, which `weight_prepack` then brings into
    oneDNN's and MKL's own layouts and for which `mode: max-autotune` times inductor's own kernels against theirs;
    `dynamic` compiles for every batch size at once.
    """

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    precision: Literal["float32", "bfloat16"] = "float32"
    mode: Literal["default", "max-autotune"] = "default"
    freezing: bool = False
    weight_prepack: bool = True
    dynamic: bool = False


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    plain = torch_eager.Options(memory_format=options.memory_format, precision=options.precision)
    if reason := torch_eager.unavailable(plain, hw):
        return reason
    if hw.compiler is None:
        return "torch.compile needs a C++ compiler; apt-get install g++"
    # inductor packs weights in its freezing passes, and its kernels for CPUs take packed weights only
    if not options.weight_prepack and not options.freezing:
        return "weight_prepack concerns frozen weights only; set freezing to true"
    if options.mode == "max-autotune" and not (options.freezing and options.weight_prepack):
        return "mode max-autotune tunes kernels for frozen, packed weights; set freezing and weight_prepack to true"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Inductor's cache inside ours; compilation in the process itself, so that no helper process idles beside it."""
    return LaunchPatch(
        env={
            **CACHE,
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TORCHINDUCTOR_FREEZING": str(int(options.freezing)),
            "TORCHINDUCTOR_MAX_AUTOTUNE": str(int(options.mode == "max-autotune")),
            "TORCHINDUCTOR_CPP_WEIGHT_PREPACK": str(int(options.weight_prepack)),
        }
    )


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> CompiledSession:
    """The module wrapped by torch.compile; the first call compiles it."""
    axes = workload.batch_axes if options.dynamic else None
    return CompiledSession(torch_eager.module(workload, options, config), options, axes)


class CompiledSession(torch_eager.TorchSession):
    """The eager session, its call compiled; `model` stays the plain module for the proofs.

    With `axes`, the inputs' batch dimensions, it is compiled for every batch size.
    """

    compiles = True

    def __init__(self, model: Any, options: Any, axes: Axes | None = None, backend: str = "inductor") -> None:
        import torch

        super().__init__(model, options)
        _export.refuse_script(model)
        self._compiled = torch.compile(model, backend=backend, dynamic=False if axes is None else None)
        self._axes = axes
        self._row: tuple[np.ndarray[Any, Any], ...] = ()
        self._proven = 0

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """As torch_eager; for a dynamic graph with the batch dimension marked as one that varies."""
        import torch

        tensors = super().convert(arrays)
        if self._axes is not None:
            self._row = rows.taken(arrays, self._axes, range(1))
            for tensor, axis in zip(tensors, self._axes, strict=True):
                if axis is not None:
                    torch._dynamo.maybe_mark_dynamic(tensor, axis)
        return tensors

    def __call__(self, batch: Any) -> Any:
        """Run the compiled graph."""
        return self.run(self._compiled, batch)

    def varies(self) -> bool:
        """True if another batch size runs without compiling again; call it after a batch was converted and run.

        torch gives a batch of one row, and then the first larger one, a graph of its own: the second larger one tells.
        """
        assert self._axes is not None
        for count in (3, 4):
            compiled = graphs()
            self(self.convert(rows.taken(self._row, self._axes, [0] * count)))
        return graphs() == compiled

    def settle(self) -> None:
        """Count as recompilations all that is compiled from now on."""
        self._proven = graphs()

    def flags(self) -> tuple[str, ...]:
        """The number of graphs that were compiled after the proofs, so in measured blocks."""
        again = graphs() - self._proven
        return (f"recompiled: {again}",) if again else ()


def graphs() -> int:
    """The graphs that this process has compiled so far."""
    from torch._dynamo.utils import counters

    count: int = counters["stats"]["unique_graphs"]
    return count


def applied(session: CompiledSession, options: Any, config: Config) -> str | None:
    """As torch_eager, and that a graph was really compiled, with inductor's settings and the batch as asked."""
    from torch._inductor import config as inductor

    if not graphs():
        return "torch.compile compiled no graph"
    for name, actual, expected in (
        ("freezing", inductor.freezing, options.freezing),
        ("max_autotune", inductor.max_autotune, options.mode == "max-autotune"),
        ("cpp.weight_prepack", inductor.cpp.weight_prepack, options.weight_prepack),
    ):
        if actual != expected:
            return f"inductor's {name} is {actual}, not {expected}"
    if options.dynamic and not session.varies():
        return "another batch size compiles the model again: its code fixes the batch dimension"
    session.settle()
    return torch_eager.applied(session, options, config)
