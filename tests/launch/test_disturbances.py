"""The gates of `interference.disturbances`: which figures of a block call it disturbed."""

from __future__ import annotations

import math

import msgspec
import pytest

from autotune.core.results import Canary, Interference
from autotune.core.rules import MeasureRules
from autotune.launch.interference import HISTORY, disturbances

RULES = MeasureRules()


def disturbed(found: Interference, usual_mhz: float | None = None, rules: MeasureRules = RULES) -> tuple[str, ...]:
    return disturbances(found, None, [], usual_mhz, rules)


@pytest.mark.parametrize(
    ("figure", "most"),
    [
        ("others", RULES.disturbed_others),
        ("cpu_pressure", RULES.disturbed_pressure),
        ("memory_pressure", RULES.disturbed_pressure),
        ("steal", RULES.disturbed_steal),
    ],
)
def test_a_share_closes_its_gate_above_the_rule(figure: str, most: float) -> None:
    assert disturbed(Interference(**{figure: most})) == ()
    assert disturbed(Interference(**{figure: math.nextafter(most, 1)})) == (figure,)


def test_a_frequency_closes_its_gate_below_the_rule() -> None:
    assert disturbed(Interference(frequency_mhz=1800.0), 2000.0) == ()
    assert disturbed(Interference(frequency_mhz=1799.9), 2000.0) == ("frequency",)
    assert disturbed(Interference(frequency_mhz=1.0)) == ()


def test_thresholds_are_rules() -> None:
    found = Interference(cpu_pressure=0.3, memory_pressure=0.3, steal=0.1, frequency_mhz=1000.0)
    assert disturbed(found, 2000.0) == ("cpu_pressure", "memory_pressure", "steal", "frequency")
    loose = MeasureRules(disturbed_pressure=0.5, disturbed_steal=0.5, disturbed_frequency=0.4)
    assert disturbed(found, 2000.0, loose) == ()


def test_what_is_not_known_closes_nothing() -> None:
    assert disturbed(Interference(), 2000.0) == ()


# ---------------------------------------------------------------------------------------------------------- canary


def canary(compute: float, memory: float = 1.0, scalar: float = 1.0) -> Canary:
    return Canary(cores=2, compute=compute, memory=memory, scalar=scalar)


def shifted(now: Canary, *before: float, rules: MeasureRules = RULES) -> bool:
    """True if a canary is off its place after others, of which only `compute` varied."""
    found = disturbances(Interference(), now, [canary(speed) for speed in before], None, rules)
    assert found in ((), ("canary",))
    return bool(found)


CALM = (1.0,) * HISTORY


@pytest.mark.parametrize("direction", [1, -1])
def test_a_canary_may_move_by_a_tenth(direction: int) -> None:
    assert not shifted(canary(math.exp(direction * 0.0999)), *CALM)
    assert shifted(canary(math.exp(direction * 0.1001)), *CALM)


@pytest.mark.parametrize("part", ["compute", "memory", "scalar"])
def test_every_part_counts(part: str) -> None:
    assert shifted(msgspec.structs.replace(canary(1.0), **{part: 0.5}), *CALM)


def test_a_canary_needs_a_history() -> None:
    assert not shifted(canary(9.0), *CALM[1:])
    assert shifted(canary(9.0), *CALM)


def test_a_restless_canary_may_move_by_its_own_deviations() -> None:
    # logs of −0.2 … 0.2: their median absolute deviation is 0.1, so three robust deviations are 0.445
    before = [math.exp(log) for log in (-0.2, -0.1, 0.0, 0.1, 0.2)]
    assert not shifted(canary(math.exp(0.444)), *before)
    assert shifted(canary(math.exp(0.446)), *before)
    assert shifted(canary(math.exp(0.3)), *before, rules=MeasureRules(disturbed_canary=2.0))


def test_one_wild_canary_changes_neither_the_middle_nor_the_spread() -> None:
    assert shifted(canary(1.2), *CALM, 1.0, 50.0)
    assert not shifted(canary(1.05), *CALM, 1.0, 50.0)
