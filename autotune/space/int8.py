"""int8 in a space whose inputs can neither calibrate nor judge it: its values are left out, with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import msgspec

from autotune.core.errors import ModelError
from autotune.core.space_types import Domains, Exclusion, Space
from autotune.models import calibration
from autotune.space.domains import MAX_COMBINATIONS, Axes


def settled(space: Space, different: int) -> Space:
    """The space once the workload's different real rows are counted; ModelError if nothing is left of it."""
    reason = calibration.refusal(space.workload, different)
    if reason is None:
        return space
    domains, excluded = without(space.domains, reason)
    if not domains.backends or calibration.calibrated(space.baseline):
        what = "the baseline" if domains.backends else "every configuration of the search"
        raise ModelError(f"{what} is int8: {reason}")
    return msgspec.structs.replace(space, domains=domains, excluded=(*space.excluded, *excluded))


def as_before(space: Space, excluded: Iterable[Exclusion]) -> Space:
    """A space that is not settled yet, without the int8 that a study of it has left out."""
    reasons = {one.reason for one in excluded if one.reason.endswith(calibration.REMEDY)}
    domains = without(space.domains, "")[0] if reasons else space.domains
    return msgspec.structs.replace(space, domains=domains)


def without(domains: Domains, reason: str) -> tuple[Domains, tuple[Exclusion, ...]]:
    """The domains without all values that stand for int8, and those values; a backend of which none is left is gone."""
    kept: dict[str, Axes] = {}
    excluded: list[Exclusion] = []
    for backend, axes in domains.backends.items():
        combinations = itertools.islice(itertools.product(*axes.values()), MAX_COMBINATIONS)
        options = (dict(zip(axes, chosen, strict=True)) for chosen in combinations)
        plain = next((found for found in options if not calibration.by_options(backend, found)), None)
        if plain is None:
            excluded.append(Exclusion(setting="backend", value=backend, reason=reason))
            continue
        kept[backend] = {}
        for option, values in axes.items():
            left = [value for value in values if calibration.by_options(backend, plain | {option: value})]
            excluded += [Exclusion(setting=f"{backend}.{option}", value=value, reason=reason) for value in left]
            kept[backend][option] = tuple(value for value in values if value not in left)
    return msgspec.structs.replace(domains, backends=kept), tuple(excluded)
