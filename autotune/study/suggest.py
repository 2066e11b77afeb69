"""Between the sampler's parameters and configurations; the only file that calls Optuna's suggest.

Parameters are named `batch_size`, `<knob>`, `backend` and `<backend>.<option>`, all categorical. A setting with a
single value is not asked for: it cannot be learned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, cast

from autotune import space
from autotune.types import Config, Domains, Hardware, Value

if TYPE_CHECKING:
    import optuna


def suggest(trial: optuna.Trial, domains: Domains, hw: Hardware) -> Config:
    """The canonical configuration that the trial's sampler chooses; the options asked for are those of its backend."""
    backend = str(_choose(trial, "backend", tuple(domains.backends)))
    chosen = {name: _choose(trial, name, values) for name, values in _axes(domains, backend).items()}
    return _configure(backend, chosen, domains, hw)


def parameters(config: Config, domains: Domains, hw: Hardware) -> dict[str, Value] | None:
    """What to enqueue so that `suggest` returns `config`; None if it is not a point of the domains.

    A baseline may lie outside: the plain model is measured even where the space names no plain backend.
    """
    if config.backend not in domains.backends:
        return None
    axes = _axes(domains, config.backend)
    options = {f"{config.backend}.{option}": value for option, value in config.options.items()}
    held = {"batch_size": config.workload.batch_size, **config.knobs, **options}
    chosen = {name: held[name] for name, values in axes.items() if held[name] in values}
    if len(chosen) < len(axes) or _configure(config.backend, chosen, domains, hw) != config:
        return None
    chosen["backend"] = config.backend
    axes["backend"] = tuple(domains.backends)
    return {name: value for name, value in chosen.items() if len(axes[name]) > 1}


def count(domains: Domains) -> int:
    """How many configurations the domains hold, those that this machine cannot honour included."""
    return sum(_count(domains, backend) for backend in domains.backends)


def unseen(domains: Domains, hw: Hardware, seen: Container[str], rng: random.Random) -> Iterator[Config]:
    """Every configuration whose key is not in `seen`, from a random one on.

    Walking from a random place reaches the first one in at most as many steps as there are seen ones, however large
    the space is.
    """
    total = count(domains)
    start = rng.randrange(total)
    for step in range(total):
        config = _nth((start + step) % total, domains, hw)
        if config.key not in seen:
            yield config


def _choose(trial: optuna.Trial, name: str, values: tuple[Value, ...]) -> Value:
    return values[0] if len(values) == 1 else cast(Value, trial.suggest_categorical(name, values))


def _axes(domains: Domains, backend: str) -> dict[str, tuple[Value, ...]]:
    options = {f"{backend}.{option}": values for option, values in domains.backends[backend].items()}
    return {"batch_size": domains.batch_size, **domains.knobs, **options}


def _configure(backend: str, chosen: Mapping[str, Value], domains: Domains, hw: Hardware) -> Config:
    return space.configure(
        hw,
        batch_size=int(chosen["batch_size"]),
        backend=backend,
        options={option: chosen[f"{backend}.{option}"] for option in domains.backends[backend]},
        knobs={knob: chosen[knob] for knob in domains.knobs},
    )


def _count(domains: Domains, backend: str) -> int:
    return math.prod(len(values) for values in _axes(domains, backend).values())


def _nth(index: int, domains: Domains, hw: Hardware) -> Config:
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
