"""The outputs of several workers judged together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from autotune.analysis.constraints import ConstraintCheck
from autotune.analysis.metrics import METRICS
from autotune.core.answers import Fidelity, OutputFidelity, Part

COMPARED = [name for name in OutputFidelity.__struct_fields__ if name in METRICS]


def worst(workers: Sequence[Fidelity | None]) -> Fidelity | None:
    """The fidelity of all workers of a configuration: the worst of each metric; None where nothing was compared."""
    known = [one for one in workers if one is not None]
    if not known:
        return None
    by_output = zip(*(one.outputs for one in known), strict=True)
    return msgspec.structs.replace(
        known[0],
        samples=min(one.samples for one in known),
        part=_part(known),
        outputs=tuple(
            msgspec.structs.replace(same[0], part=_part(same), matched=any(one.matched for one in same), **_worst(same))
            for same in by_output
        ),
        **_worst(known),
    )


def broken(limit: ConstraintCheck, answers: Fidelity | None) -> str:
    """The limit that answers break, and the part of them that is furthest off; a sample's limit is no channel's."""
    part = answers.part if answers is not None else None
    if part is not None and limit.limit.metric == "worst_sample_error" and not part.name.startswith("sample "):
        part = None
    return limit.description if part is None else f"{limit.description}; the worst part: {part.name}"


def _part(several: Sequence[Fidelity | OutputFidelity]) -> Part | None:
    parts = [one.part for one in several if one.part is not None]
    return max(parts, key=lambda part: part.badness, default=None)


def _worst(several: Sequence[Fidelity | OutputFidelity]) -> dict[str, float]:
    """The worst of each metric that all of them have."""
    values = {name: [getattr(one, name) for one in several] for name in COMPARED}
    picks = {name: min if METRICS[name].better == "higher" else max for name in COMPARED}
    return {name: picks[name](of_all) for name, of_all in values.items() if None not in of_all}
