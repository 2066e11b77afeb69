"""The configuration of a space nearest to a given one: every setting at the nearest value that there is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains, Space
from autotune.core.struct import Value, is_number
from autotune.space import configs


def nearest(
    resolved: Space,
    hw: Hardware,
    *,
    backend: str,
    batch_size: int,
    options: Mapping[str, Value],
    knobs: Mapping[str, Value],
) -> Config | None:
    """The canonical configuration; None where its backend is not searched, or this machine cannot honour it.

    For a number that is not among the values stands the nearest one. Otherwise, and where no value is given, a knob
    has the baseline's value if that is among them, and anything else the first one.
    """
    domains, plain = resolved.domains, resolved.baseline
    if backend not in domains.backends:
        return None
    config = configs.configure(
        hw,
        batch_size=int(_nearest(batch_size, None, domains.batch_size)),
        backend=backend,
        options={name: _nearest(options.get(name), None, values) for name, values in domains.backends[backend].items()},
        knobs={
            name: _nearest(knobs.get(name), plain.knobs.get(name), values) for name, values in domains.knobs.items()
        },
    )
    config = configs.canonical(config, hw)
    return config if configs.unavailable(config, hw) is None else _elsewhere(config, domains, hw)


def _elsewhere(config: Config, domains: Domains, hw: Hardware) -> Config | None:
    """The same in the first of the interpreters that can run it."""
    found = (
        msgspec.structs.replace(config, knobs={**config.knobs, "interpreter": name})
        for name in domains.knobs.get("interpreter", ())
    )
    return next((other for other in found if configs.unavailable(other, hw) is None), None)


def _nearest(wanted: Value | None, plain: Value | None, values: tuple[Value, ...]) -> Value:
    if wanted is not None and wanted in values:
        return wanted
    numbers = [value for value in values if is_number(value)]
    if wanted is not None and is_number(wanted) and numbers:
        return min(numbers, key=lambda value: abs(float(value) - float(wanted)))
    return plain if plain is not None and plain in values else values[0]
