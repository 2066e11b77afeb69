"""What vendors advise, tried first in every study: cheap to prepare before dear, so that a good result stands early."""

from __future__ import annotations

from collections.abc import Iterator

from autotune import space
from autotune.types import Config, Hardware, Space, Struct, Value


class Recipe(Struct):
    """A backend and options that must come out as written, and knobs that go along where the machine has them.

    `isa` lists instruction sets of which one is needed for the recipe to pay, not for it to run.
    """

    backend: str
    options: dict[str, Value]
    knobs: dict[str, Value] = {}
    isa: tuple[str, ...] = ()


BATCH_SIZE = 8
TCMALLOC: dict[str, Value] = {"allocator": "tcmalloc"}
HUGE_PAGES: dict[str, Value] = {**TCMALLOC, "huge_pages": True}
LAST: dict[str, Value] = {"memory_format": "channels_last"}
X86_BFLOAT16 = ("avx512_bf16", "amx_bf16")

X86 = (
    Recipe(backend="torch_eager", options={**LAST, "precision": "float32"}, knobs=TCMALLOC),
    Recipe(backend="torch_eager", options={**LAST, "precision": "bfloat16"}, knobs=TCMALLOC, isa=X86_BFLOAT16),
    Recipe(backend="onnxruntime", options={"precision": "float32"}),
    Recipe(backend="openvino", options={"precision": "int8"}),
    Recipe(backend="openvino", options={"precision": "float32"}),
    Recipe(backend="torch_compile", options={**LAST, "precision": "float32", "freezing": True}, knobs=TCMALLOC),
    Recipe(
        backend="torch_compile",
        options={**LAST, "precision": "bfloat16", "freezing": True},
        knobs=TCMALLOC,
        isa=X86_BFLOAT16,
    ),
)

ARM = (
    Recipe(backend="torch_eager", options={**LAST, "precision": "bfloat16"}, knobs=HUGE_PAGES, isa=("bf16",)),
    Recipe(backend="torch_eager", options={**LAST, "precision": "float32"}, knobs=HUGE_PAGES),
    Recipe(backend="onnxruntime", options={"precision": "float32"}),
    Recipe(backend="openvino", options={"precision": "float32"}),
)


def first(resolved: Space, hw: Hardware) -> tuple[Config, ...]:
    """What to measure before the sampler is asked: the baseline, then each recipe that fits the domains."""
    configs = [resolved.baseline]
    for recipe in _for_machine(hw):
        config = _fitted(recipe, resolved, hw)
        if config is not None and config not in configs:
            configs.append(config)
    return tuple(configs)


def _for_machine(hw: Hardware) -> Iterator[Recipe]:
    recipes = ARM if hw.architecture == "aarch64" else X86
    yield from (recipe for recipe in recipes if not recipe.isa or set(recipe.isa) & set(hw.isa))
    if hw.architecture == "aarch64":
        split: dict[str, Value] = {**HUGE_PAGES, "layout": f"{len(hw.cores)}x1"}
        yield Recipe(backend="onnxruntime", options={"precision": "float32"}, knobs=split)
        yield Recipe(backend="torch_eager", options={**LAST, "precision": "float32"}, knobs=split)


def _fitted(recipe: Recipe, resolved: Space, hw: Hardware) -> Config | None:
    """The recipe within the domains; None where its backend or one of its options is not to be had.

    A knob that the domains do not offer is left at the baseline's value: the recipe still says something without it.
    """
    domains, plain = resolved.domains, resolved.baseline
    if recipe.backend not in domains.backends:
        return None
    options = {
        option: _nearest(recipe.options.get(option), None, values)
        for option, values in domains.backends[recipe.backend].items()
    }
    knobs = {
        knob: _nearest(recipe.knobs.get(knob), plain.knobs.get(knob), values) for knob, values in domains.knobs.items()
    }
    batch_size = min(domains.batch_size, key=lambda size: abs(size - BATCH_SIZE))
    config = space.configure(hw, batch_size=batch_size, backend=recipe.backend, options=options, knobs=knobs)
    return config if recipe.options.items() <= config.options.items() else None


def _nearest(wanted: Value | None, plain: Value | None, values: tuple[Value, ...]) -> Value:
    return next((value for value in (wanted, plain) if value is not None and value in values), values[0])
