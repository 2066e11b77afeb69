"""Structs of studies that an earlier version began, with the settings that there are today at their defaults."""

from __future__ import annotations

import msgspec

from autotune.core import plugins
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.space import configs


def space(frozen: Space) -> Space:
    """A space with every setting that there is today."""
    knobs, backends = frozen.domains.knobs, frozen.domains.backends
    plain = configs.completed(frozen.baseline).knobs
    domains = msgspec.structs.replace(
        frozen.domains,
        knobs={name: knobs.get(name, (plain[name],)) for name in plain},
        backends={name: _options(name, axes) for name, axes in backends.items()},
    )
    return msgspec.structs.replace(frozen, domains=domains, baseline=configs.completed(frozen.baseline))


def spec(written: TrialSpec) -> TrialSpec:
    """A trial's spec with every setting that there is today."""
    return msgspec.structs.replace(written, config=configs.completed(written.config))


def _options(backend: str, axes: dict[str, tuple[Value, ...]]) -> dict[str, tuple[Value, ...]]:
    """The options of a backend with what they may be, those that were not known then at their defaults."""
    first = {name: values[0] for name, values in axes.items()}
    defaults = msgspec.structs.asdict(plugins.backend_options(backend, dict(first)))
    return {name: axes.get(name, (default,)) for name, default in defaults.items()}
