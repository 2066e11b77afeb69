"""Settings by the names that they have everywhere: `batch_size`, `backend`, knobs, `<backend>.<option>`."""

from __future__ import annotations

from autotune.core.config import Config
from autotune.core.space_types import Domains
from autotune.core.struct import Value


def of_config(config: Config) -> dict[str, Value]:
    """The settings of a configuration."""
    options = {f"{config.backend}.{name}": value for name, value in config.options.items()}
    return {"batch_size": config.workload.batch_size, "backend": config.backend, **config.knobs, **options}


def of_domains(searched: Domains) -> dict[str, tuple[Value, ...]]:
    """The values that are searched, for every setting."""
    options = {
        f"{backend}.{option}": values for backend, axes in searched.backends.items() for option, values in axes.items()
    }
    return {"batch_size": searched.batch_size, **searched.knobs, "backend": tuple(searched.backends), **options}
