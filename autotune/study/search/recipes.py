"""The advice of vendors, tried first in every study: it often wins, and then the rest is given up sooner."""

from __future__ import annotations

from collections.abc import Iterator

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.core.struct import Struct, Value
from autotune.study.search import nearest


class Recipe(Struct):
    """A backend and options that must come out as written, and knobs that go along where the machine has them.

    With `needs_knobs` the recipe is nothing without the first of them. `isa` lists instruction sets of which one is
    needed for the recipe to pay, not for it to run.
    """

    backend: str
    options: dict[str, Value]
    knobs: dict[str, Value] = {}
    isa: tuple[str, ...] = ()
    needs_knobs: bool = False


MOST = 4
"""So many recipes are tried at most; the sampler tries what is new in the others."""

BATCH_SIZE = 8
TCMALLOC: dict[str, Value] = {"allocator": "tcmalloc"}
HUGE_PAGES: dict[str, Value] = {**TCMALLOC, "huge_pages": True}
SPLIT: dict[str, Value] = {"layout": "Nx1"}
"""A worker on each of the N cores; the backend's and the options' other recipe has one worker on all."""

PREFERRED: dict[str, Value] = {"memory_format": "channels_last"}
"""Options of every recipe, where the space has them."""

X86_BFLOAT16 = ("avx512_bf16", "amx_bf16")

BFLOAT16: dict[str, Value] = {"precision": "bfloat16"}
RUN_CPU: dict[str, Value] = {
    "openmp": "intel",
    "affinity": "compact",
    "block_time": 1,
    "allocator": "jemalloc",
    "jemalloc_conf": "run_cpu",
}
"""The settings of torch.backends.xeon.run_cpu on Intel's CPUs."""

X86 = (
    Recipe(backend="openvino", options={"precision": "int8"}),
    Recipe(backend="openvino", options={"precision": "int8"}, knobs=SPLIT),
    Recipe(backend="openvino", options={"precision": "int8", "hint": "throughput", "requests": 0}),
    Recipe(backend="torch_eager", options=BFLOAT16, knobs=TCMALLOC, isa=X86_BFLOAT16),
    Recipe(backend="torch_eager", options={"precision": "float32"}, knobs=TCMALLOC),
    Recipe(backend="onnxruntime", options={"precision": "float32"}),
    Recipe(backend="openvino", options={"precision": "bfloat16"}, isa=X86_BFLOAT16),
    Recipe(backend="openvino", options={"precision": "float32"}),
    Recipe(backend="torch_eager", options={"precision": "float32"}, knobs=RUN_CPU, needs_knobs=True),
    Recipe(backend="torch_compile", options=BFLOAT16 | {"freezing": True}, knobs=TCMALLOC, isa=X86_BFLOAT16),
    Recipe(backend="torch_compile", options={"precision": "float32", "freezing": True}, knobs=TCMALLOC),
    Recipe(backend="torch_int8", options={}, knobs=TCMALLOC, isa=("avx512_vnni", "avx_vnni")),
    Recipe(backend="onnxruntime", options={"precision": "int8"}, isa=("avx512_vnni", "avx_vnni")),
    Recipe(backend="ipex", options={"precision": "bfloat16"}, isa=X86_BFLOAT16),
    Recipe(backend="ipex", options={"precision": "float32"}),
    Recipe(backend="torch_aot", options=BFLOAT16, knobs=TCMALLOC, isa=X86_BFLOAT16),
    Recipe(backend="torch_aot", options={"precision": "float32"}, knobs=TCMALLOC),
)

ARM_KNOBS: dict[str, Value] = {**HUGE_PAGES, "fast_math": "bf16", "primitive_cache": 1024}

ARM = (
    Recipe(backend="torch_eager", options=BFLOAT16, knobs=ARM_KNOBS, isa=("bf16",)),
    Recipe(backend="torch_eager", options={"precision": "float32"}, knobs={**HUGE_PAGES, **SPLIT}),
    Recipe(backend="onnxruntime", options={"precision": "float32", "fast_math": True}, isa=("bf16",)),
    Recipe(backend="torch_compile", options=BFLOAT16 | {"freezing": True}, knobs=ARM_KNOBS, isa=("bf16",)),
    Recipe(backend="onnxruntime", options={"precision": "float32"}, knobs={"huge_pages": True, **SPLIT}),
    Recipe(backend="torch_eager", options={"precision": "float32"}, knobs=ARM_KNOBS),
    Recipe(backend="onnxruntime", options={"precision": "float32"}),
    Recipe(backend="openvino", options={"precision": "float32"}),
    Recipe(backend="torch_int8", options={}, knobs=TCMALLOC, isa=("i8mm",)),
)


def first(resolved: Space, hw: Hardware) -> tuple[Config, ...]:
    """The configurations before the sampler's: the baseline, then the first recipes that fit the domains."""
    fitting_ones = (_fitted(recipe, resolved, hw) for recipe in _for_machine(hw))
    configs = dict.fromkeys([resolved.baseline, *(config for config in fitting_ones if config is not None)])
    return tuple(configs)[: 1 + MOST]


def _for_machine(hw: Hardware) -> Iterator[Recipe]:
    recipes = ARM if hw.architecture == "aarch64" else X86
    yield from (recipe for recipe in recipes if not recipe.isa or set(recipe.isa) & set(hw.isa))


def _fitted(recipe: Recipe, resolved: Space, hw: Hardware) -> Config | None:
    """The recipe within the domains; None where its backend or one of its options is not available.

    A knob that the domains do not offer is left at the baseline's value: the recipe still says something without it.
    """
    found = nearest.nearest(
        resolved,
        hw,
        backend=recipe.backend,
        batch_size=BATCH_SIZE,
        options=PREFERRED | recipe.options,
        knobs={name: f"{len(hw.cores)}x1" if {name: value} == SPLIT else value for name, value in recipe.knobs.items()},
    )
    if found is None or not recipe.options.items() <= found.options.items():
        return None
    first = next(iter(recipe.knobs), None)
    without = recipe.needs_knobs and first is not None and found.knobs[first] != recipe.knobs[first]
    return None if without else found
