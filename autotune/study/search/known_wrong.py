"""Configurations whose answers are known to be wrong: other settings of the same model change none of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from autotune.analysis import constraints
from autotune.analysis.constraints import ConstraintCheck
from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.results import TrialResult
from autotune.core.space_types import Limit
from autotune.core.struct import Value


def reason(config: Config, results: Iterable[TrialResult], limits: Sequence[Limit]) -> str | None:
    """The reason why a configuration need not be tried: a trial that answers alike broke a limit; None without one."""
    alike = _key(config)
    for result in results:
        if _key(result.spec.config) == alike and (limit := broken(limits, result)) is not None:
            return f"its answers are those of trial {result.spec.id}: {limit.description}"
    return None


def broken(limits: Sequence[Limit], result: TrialResult) -> ConstraintCheck | None:
    """The check of the limit that a trial's answers break the most; None if they keep all, or there were none."""
    answered = result.status.measured or result.fidelity is not None or result.accuracy is not None
    return constraints.broken(limits, result) if answered else None


def deciding(config: Config) -> dict[str, Value]:
    """The parameters, by their names in a study, on which a configuration's answers depend.

    They are the backend, its options but those of its `same_answers`, and the knobs with `changes_answers`.
    """
    backend = plugins.load("backends", config.backend)
    same = getattr(backend, "same_answers", ())
    options = {f"{config.backend}.{name}": value for name, value in config.options.items() if name not in same}
    knobs = {
        name: value
        for name, value in config.knobs.items()
        if getattr(plugins.load("knobs", name), "changes_answers", False)
    }
    return {"backend": config.backend, **options, **knobs}


def _key(config: Config) -> Hashable:
    return frozenset(deciding(config).items())
