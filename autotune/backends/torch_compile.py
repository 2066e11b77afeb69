"""torch.compile with inductor; compiled in the measured child and charged to its set-up.

Without freezing inductor's cache (kept inside ours) makes the second start quicker; frozen graphs cannot be cached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from autotune.backends import torch_eager
from autotune.interfaces import Workload
from autotune.types import Config, Hardware, LaunchPatch, Struct

packages = torch_eager.packages
source = torch_eager.source
cache_key = torch_eager.cache_key
prepare = torch_eager.prepare


class Options(Struct):
    """As torch_eager; `freezing` folds the weights into the graph as constants."""

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    precision: Literal["float32", "bfloat16"] = "float32"
    freezing: bool = False


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    plain = torch_eager.Options(memory_format=options.memory_format, precision=options.precision)
    if reason := torch_eager.unavailable(plain, hw):
        return reason
    if hw.compiler is None:
        return "torch.compile needs a C++ compiler; apt-get install g++"
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Inductor's cache inside ours; compilation in the process itself, so that no helper process idles beside it."""
    return LaunchPatch(
        env={
            "TORCHINDUCTOR_CACHE_DIR": "{cache}/inductor",
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "TORCHINDUCTOR_FREEZING": "1" if options.freezing else "0",
        }
    )


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> CompiledSession:
    """The module wrapped by torch.compile; the first call compiles it."""
    return CompiledSession(torch_eager.module(workload, options, config), options)


class CompiledSession(torch_eager.TorchSession):
    """The eager session, its call compiled; `model` stays the plain module for the proofs."""

    def __init__(self, model: Any, options: Any) -> None:
        import torch

        super().__init__(model, options)
        self._compiled = torch.compile(model, dynamic=False)

    def __call__(self, batch: Any) -> Any:
        """Run the compiled graph."""
        return self.run(self._compiled, batch)


def applied(session: CompiledSession, options: Options, config: Config) -> str | None:
    """As torch_eager, and that a graph was really compiled, with freezing as asked."""
    from torch._dynamo.utils import counters
    from torch._inductor import config as inductor

    if not counters["stats"]["unique_graphs"]:
        return "torch.compile compiled no graph"
    if inductor.freezing != options.freezing:
        return f"inductor's freezing is {inductor.freezing}, not {options.freezing}"
    return torch_eager.applied(session, options, config)
