"""Whether int8 can be calibrated and judged on a workload's inputs: on eight different real rows or more."""

from __future__ import annotations

from collections.abc import Mapping

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.struct import Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import data, workload

REMEDY = "give eight real ones (workload.inputs: FILE.npz), or write workload.allow: generated_calibration"


def calibrated(config: Config) -> bool:
    """True if the configuration's model is quantised on the workload's inputs."""
    return by_options(config.backend, config.options)


def by_options(name: str, options: Mapping[str, Value]) -> bool:
    """True if the model of a backend with these options is."""
    backend = plugins.load("backends", name)
    return hasattr(backend, "calibrated") and bool(backend.calibrated(plugins.backend_options(name, dict(options))))


def doubt(spec: WorkloadSpec, different: int | None) -> str | None:
    """The inputs, in words, where they cannot tell right int8 from wrong; None where they can.

    `different` is the number of different real rows, None while nobody has counted them. Of random weights, whose
    answers are not judged at all, nothing is asked.
    """
    if not workload.judged(spec):
        return None
    if workload.generated(spec):
        return "generated inputs"
    if different is None or different >= data.ENOUGH:
        return None
    return "one example row" if different == 1 else f"{different} different rows"


def refusal(spec: WorkloadSpec, different: int | None) -> str | None:
    """The reason why int8 is left out of a search, or None."""
    found = doubt(spec, different)
    if found is None or "generated_calibration" in spec.allow:
        return None
    return f"int8 would be calibrated and judged on {found}: {REMEDY}"
