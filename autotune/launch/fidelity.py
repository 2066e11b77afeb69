"""One word on the answers of several workers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from autotune.analysis.metrics import FIGURES, OF_ANSWERS
from autotune.core.results import Fidelity, OutputFidelity


def worst(found: Sequence[Fidelity | None]) -> Fidelity | None:
    """What all workers of a configuration answered: the worst in each figure; None where nothing was compared."""
    known = [one for one in found if one is not None]
    if not known:
        return None
    by_output = zip(*(one.outputs for one in known), strict=True)
    return msgspec.structs.replace(
        known[0],
        samples=min(one.samples for one in known),
        outputs=tuple(msgspec.structs.replace(same[0], **_figures(same)) for same in by_output),
        **_figures(known),
    )


def _figures(found: Sequence[Fidelity | OutputFidelity]) -> dict[str, float]:
    """The worst of each figure that is to be had."""
    values = {name: [getattr(one, name) for one in found] for name in OF_ANSWERS}
    picks = {name: min if FIGURES[name].better == "higher" else max for name in OF_ANSWERS}
    return {name: picks[name](of_all) for name, of_all in values.items() if None not in of_all}
