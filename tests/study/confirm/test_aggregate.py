from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Seat, Sitting
from autotune.core.space_types import Goal, Limit
from autotune.core.types import SittingSpec
from autotune.study.confirm.aggregate import Limits, pooled
from tests.report.made import PLAIN, config, numbered
from tests.study.fakes import WORKLOAD

CONFIGS = {"a": PLAIN, "b": config("onnxruntime", 8)}


def sitting(number: int, setup_s: float, *, together: bool = True, names: str = "ab") -> Sitting:
    spec = SittingSpec(
        number=number,
        workload=WORKLOAD,
        configs={name: CONFIGS[name] for name in names},
        rounds=1,
        order="",
        folder=f"confirmation/a/{number:04d}",
        together=together,
    )
    seats = {name: Seat(config=CONFIGS[name], blocks=numbered((10.0,)), setup_s=setup_s) for name in names}
    return Sitting(spec=spec, seats=seats, start_s=1, wall_s=2, started="", fingerprint="")


def setup_s(*sittings: Sitting) -> float | None:
    found = pooled(Path(), sittings, "a", 0.95)
    assert found is not None
    assert found.figures(None).get("setup_s") == found.seat.setup_s
    return found.seat.setup_s


def test_the_time_to_set_up_is_that_of_starts_alone() -> None:
    crowded = sitting(1, 9.0)
    assert setup_s(crowded) is None
    assert setup_s(crowded, sitting(2, 2.0, together=False)) == 2.0
    assert setup_s(crowded, sitting(2, 3.0, names="a")) == 3.0


@pytest.mark.parametrize("together", [True, False])
def test_a_limit_on_it_is_broken_only_by_a_start_alone(together: bool) -> None:
    limits = Limits(Path(), Goal(limits=(Limit(figure="setup_s", max=5.0),)), 0.95)
    assert (limits.broken([sitting(1, 9.0, together=together)], "a") is None) is together


def test_a_failed_seat_counts_with_what_it_has() -> None:
    broken = sitting(1, 2.0, together=False)
    seat = Seat(config=PLAIN, blocks=numbered((20.0,)), error="it broke")
    broken = msgspec.structs.replace(broken, seats=broken.seats | {"a": seat})
    found = pooled(Path(), [broken, sitting(2, 2.0, together=False)], "a", 0.95)
    assert found is not None and (len(found.seat.blocks), found.seat.error) == (2, None)
