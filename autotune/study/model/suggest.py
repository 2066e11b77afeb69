"""Between the sampler's parameters and configurations; the only file that calls Optuna's suggest.

Parameters are named `batch_size`, `<knob>`, `backend` and `<backend>.<option>`, all categorical. A setting with a
single value is not asked for: it cannot be learned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.space import configs

if TYPE_CHECKING:
    import optuna


DECISIVE = ("layout", "allocator", "openmp", "wait_policy")
"""Knobs on which it depends whether others do anything; asked for first."""


def suggest(trial: optuna.Trial, domains: Domains, hw: Hardware) -> Config:
    """The canonical configuration that the trial's sampler chooses.

    Asked for are the options of its backend, and the knobs that can change something beside what is chosen already.
    """
    backend = str(_choose(trial, "backend", tuple(domains.backends)))
    axes = _axes(domains, backend)
    chosen: dict[str, Value] = {}
    knobs: dict[str, Value] = {}
    for name in sorted(axes, key=lambda name: name not in DECISIVE):
        if name not in domains.knobs:
            chosen[name] = _choose(trial, name, axes[name])
        elif _with_effect(name, axes[name], backend, knobs, hw):
            chosen[name] = knobs[name] = _choose(trial, name, axes[name])
        else:  # at its default, whether or not that is one of its values
            chosen[name] = axes[name][0]
    return _configure(backend, chosen, domains, hw)


def parameters(config: Config, domains: Domains, hw: Hardware) -> dict[str, Value] | None:
    """The parameters to enqueue so that `suggest` returns `config`; None if it is not a point of the domains.

    A baseline may lie outside: the plain model is measured even where the space names no plain backend.
    """
    if config.backend not in domains.backends:
        return None
    axes = _axes(domains, config.backend)
    options = {f"{config.backend}.{option}": value for option, value in config.options.items()}
    held = {"batch_size": config.workload.batch_size, **config.knobs, **options}
    # A knob that does nothing is at its default, which need not be one of its values.
    chosen = {name: held[name] if held[name] in values else values[0] for name, values in axes.items()}
    if _configure(config.backend, chosen, domains, hw) != config:
        return None
    chosen["backend"] = config.backend
    axes["backend"] = tuple(domains.backends)
    return {name: value for name, value in chosen.items() if len(axes[name]) > 1}


def count(domains: Domains) -> int:
    """The number of configurations in the domains, those that this machine cannot honour included."""
    return sum(_count(domains, backend) for backend in domains.backends)


def untried(domains: Domains, hw: Hardware, tried: Container[str], rng: random.Random) -> Iterator[Config]:
    """Every configuration whose key is not in `tried`, from a random index on; again where it has several indices.

    The first one comes after at most as many steps as tried ones have indices, however large the space is.
    """
    total = count(domains)
    start = rng.randrange(total)
    for step in range(total):
        config = nth((start + step) % total, domains, hw)
        if config.key not in tried:
            yield config


def axes(domains: Domains) -> dict[str, tuple[Value, ...]]:
    """Every parameter that the sampler is asked for, whatever the backend, with its values."""
    values_of: dict[str, tuple[Value, ...]] = {"backend": tuple(domains.backends)}
    for backend in domains.backends:
        values_of |= _axes(domains, backend)
    return {name: values for name, values in values_of.items() if len(values) > 1}


def nth(index: int, domains: Domains, hw: Hardware) -> Config:
    """The canonical configuration at an index below `count`; several indices may have the same."""
    for backend in domains.backends:
        size = _count(domains, backend)
        if index < size:
            break
        index -= size
    chosen: dict[str, Value] = {}
    for name, values in _axes(domains, backend).items():
        index, digit = divmod(index, len(values))
        chosen[name] = values[digit]
    return _configure(backend, chosen, domains, hw)


def index(parameters: Mapping[str, Value], backend: str, domains: Domains, rng: random.Random | None = None) -> int:
    """The index of a configuration of a backend that has these parameters; ValueError if there is none.

    Those that are missing have random values, without `rng` the first ones.
    """
    number, size = 0, 1
    for name, values in _axes(domains, backend).items():
        other = rng.randrange(len(values)) if rng else 0
        digit = values.index(parameters[name]) if name in parameters else other
        number += size * digit
        size *= len(values)
    before = list(domains.backends)[: list(domains.backends).index(backend)]
    return number + sum(_count(domains, other) for other in before)


def _with_effect(
    name: str, values: tuple[Value, ...], backend: str, knobs: Mapping[str, Value], hw: Hardware
) -> list[Value]:
    """The values of a knob, but for its default, that change something beside these knobs."""
    plain = configs.configure(hw, batch_size=1, backend=backend, knobs=knobs)
    others = [value for value in values if value != plain.knobs[name]]
    changed = [msgspec.structs.replace(plain, knobs=plain.knobs | {name: value}) for value in others]
    return [value for value, config in zip(others, changed, strict=True) if configs.canonical(config, hw) == config]


def _choose(trial: optuna.Trial, name: str, values: tuple[Value, ...]) -> Value:
    return values[0] if len(values) == 1 else cast(Value, trial.suggest_categorical(name, values))


def _axes(domains: Domains, backend: str) -> dict[str, tuple[Value, ...]]:
    options = {f"{backend}.{option}": values for option, values in domains.backends[backend].items()}
    return {"batch_size": domains.batch_size, **domains.knobs, **options}


def _configure(backend: str, chosen: Mapping[str, Value], domains: Domains, hw: Hardware) -> Config:
    config = configs.configure(
        hw,
        batch_size=int(chosen["batch_size"]),
        backend=backend,
        options={option: chosen[f"{backend}.{option}"] for option in domains.backends[backend]},
        knobs={knob: chosen[knob] for knob in domains.knobs},
    )
    return configs.canonical(config, hw)


def _count(domains: Domains, backend: str) -> int:
    axes = (domains.batch_size, *domains.knobs.values(), *domains.backends[backend].values())
    return math.prod(map(len, axes))
