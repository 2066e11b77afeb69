"""AOTInductor: the model compiled once into a package (.pt2) that the measured child only loads.

The batch dimension is dynamic, so one package serves every batch size; no child compiles, and none needs the model's
own code. The generated code holds the thread count (unless it is the machine's) and is made for this very CPU.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from autotune.backends import _export, torch_compile, torch_eager
from autotune.core.config import Config
from autotune.core.interfaces import Port, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct

packages = torch_eager.packages
runs = torch_eager.runs
source = torch_eager.source

PACKAGE = "model.pt2"
UNPACKED = "/data/aotinductor/"
"""The pattern of the library's path in a package, also once it is unpacked."""


INPUTS = "inputs"
"""The entry of a package's metadata that says which inputs its code was made for."""


class Options(Struct):
    """As torch_eager; `freezing` folds the weights into the graph as constants and packs them."""

    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    precision: Literal["float32", "bfloat16"] = "float32"
    freezing: bool = False


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why these options cannot be honoured here, or None."""
    return torch_compile.unavailable(torch_compile.Options(**msgspec.structs.asdict(options)), hw)


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Inductor's cache inside ours: before it loads a package, torch compiles tests of the CPU's instruction sets.

    They take 10 s, and from the cache 1 s.
    """
    return LaunchPatch(env=dict(torch_compile.CACHE))


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """All that the generated code depends on: options, threads, torch, the compiler and the CPU it is made for."""
    machine = (hw.architecture, hw.cpu_model, hw.isa)
    return (made_with(options, config), hw.packages.get("torch"), hw.compiler, machine)


def made_with(options: Options, config: Config) -> dict[str, str]:
    """A package's metadata."""
    return {"threads": str(config.layout.threads), **{k: str(v) for k, v in msgspec.structs.asdict(options).items()}}


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """Export and compile the model; ModelError in one line if it cannot be exported with a batch that varies."""
    import torch

    with torch.no_grad():  # with gradients nothing is frozen
        model = torch_eager.module(workload, options, config)
        example = torch_eager.TorchSession(model, options).convert(workload.arrays(_export.EXAMPLE_ROWS))
        program = _export.program(_export.flat(model, options.precision), example, workload.batch_axes)
        inputs = msgspec.json.encode(_export.inputs(program)).decode()
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(folder / PACKAGE),
            inductor_configs={
                "freezing": options.freezing,
                "aot_inductor.metadata": made_with(options, config) | {INPUTS: inputs},
                # precompiled headers (150 MB, under TMPDIR) cost what they save for a single package
                "aot_inductor.precompile_headers": False,
                "cpp_cache_precompile_headers": False,
            },
        )


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> AotSession:
    """The package on the threads that it was compiled for."""
    import torch

    assert folder is not None
    torch.set_num_threads(config.layout.threads)
    with _unpacked():
        return AotSession(torch._inductor.aoti_load_package(str(folder / PACKAGE)), options)


@contextlib.contextmanager
def _unpacked() -> Iterator[None]:
    """torch unpacks a package into a folder under TMPDIR; once its library is mapped, the files may go.

    A worker ends without torch's own clean-up, which would leave them behind for ever, weights included.
    """
    before = os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory() as made:
        os.environ["TMPDIR"] = made
        try:
            yield
        finally:
            if before is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before


class AotSession(torch_eager.TorchSession):
    """The loaded package; autocast, where it was asked for, is in its graph."""

    def __call__(self, batch: Any) -> Any:
        """Run the package."""
        with self._inference_mode():
            return self.model(*batch)

    def inputs(self) -> tuple[Port, ...] | None:
        """The inputs that the code was made for, which does not check them itself; packages of old do not say."""
        said = self.model.get_metadata().get(INPUTS)
        return None if said is None else msgspec.json.decode(said, type=tuple[Port, ...])


def applied(session: AotSession, options: Options, config: Config) -> str | None:
    """That this process runs a package's library, made with these options for these threads, on these threads."""
    if UNPACKED not in Path("/proc/self/maps").read_text():
        return "no library of an AOTInductor package is loaded"
    metadata = session.model.get_metadata()
    for name, expected in made_with(options, config).items():
        if metadata.get(name) != expected:
            return f"the package was made with {name} {metadata.get(name)}, not {expected}"
    if options.memory_format == "channels_last" and (reason := torch_eager.without_images(session)):
        return reason
    return torch_eager.applied(session, torch_eager.Options(), config)
