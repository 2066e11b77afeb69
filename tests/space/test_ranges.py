from __future__ import annotations

import itertools
import types
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.space_types import Space
from autotune.space import load as loading
from autotune.space.ranges import MAX_RANGE, expand
from tests.space.space_file import SEARCH, hinted_axes, machine, refusal


@pytest.mark.parametrize(
    ("low", "high", "given", "found"),
    [
        (5, 5, {}, (5,)),
        (5, 5, {"log": True}, (5,)),
        (1, 4, {"step": 10}, (1, 4)),
        (-2, 2, {"step": 2}, (-2, 0, 2)),
        (0.1, 0.3, {"step": 0.1}, (0.1, 0.2, 0.3)),
        (0.7, 1.0, {"step": 0.1}, (0.7, 0.8, 0.9, 1)),
        (0.1, 1, {"log": True}, (0.1, 0.2, 0.4, 0.8, 1)),
        (1e-9, 3e-9, {"step": 1e-9}, (1e-9, 2e-9, 3e-9)),
    ],
)
def test_a_range_is_exact(low: float, high: float, given: dict[str, Any], found: tuple[float, ...]) -> None:
    assert expand(low, high, **given) == found


@pytest.mark.parametrize(("high", "length"), [(MAX_RANGE, MAX_RANGE), (MAX_RANGE + 1, None), (2.0**62, None)])
def test_a_range_is_long_up_to_a_limit(high: float, length: int | None) -> None:
    found = expand(1, high)
    assert (found and len(found)) == length


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_doubling_ends_at_high(a: float, b: float) -> None:
    low, high = sorted((a, b))
    found = expand(low, high, log=True)
    assert found is not None
    assert (found[0], found[-1]) == (low, high)
    assert all(2 * a == pytest.approx(b) for a, b in itertools.pairwise(found[:-1]))
    assert list(found) == sorted(set(found))


def test_doubling_too_often_is_too_long() -> None:
    assert expand(1e-300, 1e300, log=True) is None


tenths = st.integers(-1000, 1000).map(lambda number: number / 10)


@given(tenths, tenths, st.integers(1, 50).map(lambda number: number / 10))
def test_steps_do_not_drift(a: float, b: float, step: float) -> None:
    low, high = sorted((a, b))
    found = expand(low, high, step=step)
    if found is None:
        assert (high - low) / step > MAX_RANGE - 2
        return
    exact = [Fraction(str(number)) for number in found]
    assert (found[0], found[-1]) == (low, high)
    assert all(number - exact[0] == index * Fraction(str(step)) for index, number in enumerate(exact[:-1]))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Space]:
    """Loads a text from a file that every example writes anew."""
    path = tmp_path_factory.mktemp("written") / "space.yaml"

    def load(text: str) -> Space:
        path.write_text(text)
        return loading.load(path, machine())

    return load


@given(low=st.integers(1, 500), span=st.integers(0, 500), step=st.integers(1, 50), log=st.booleans())
def test_a_range_ascends_from_low_to_high(
    low: int, span: int, step: int, log: bool, written: Callable[[str], Space]
) -> None:
    shape = "log: true" if log else f"step: {step}"
    found = written(f"{SEARCH}batch_size: {{low: {low}, high: {low + span}, {shape}}}").domains.batch_size
    assert (found[0], found[-1]) == (low, low + span)
    assert list(found) == sorted(set(found))
    pairs = list(itertools.pairwise(found))[:-1]  # the last step may be shorter
    assert all(b == 2 * a if log else b - a == step for a, b in pairs)
    assert written(f"{SEARCH}batch_size: {list(found)}").domains.batch_size == found


def test_fractions_are_those_that_were_written(folder: Path, hinted: types.ModuleType) -> None:
    assert hinted_axes("ratio: {low: 0.1, high: 0.5, step: 0.1}")["ratio"] == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert hinted_axes("ratio: {low: 0.25, high: 3, log: true}")["ratio"] == (0.25, 0.5, 1.0, 2.0, 3.0)
    assert [type(value) for value in hinted_axes("ratio: [1, 0.5]")["ratio"]] == [float, float]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SEARCH + "batch_size: {low: 8, high: 2}",
            "search.batch_size has low 8 above high 2 in space.yaml, line 6; write the smaller one as low",
        ),
        (
            SEARCH + "batch_size: {low: 8}",
            "search.batch_size has no 'high' in space.yaml, line 6"
            "; write {low: 1, high: 8}, or with step: 2 or log: true",
        ),
        (
            SEARCH + "batch_size: {low: 0, high: 2}",
            "search.batch_size is 0 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: {low: 0, high: 2, log: true}",
            "search.batch_size has low 0 and 'log' in space.yaml, line 6; write a low above 0",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, log: true, step: 1}",
            "search.batch_size has both 'log' and 'step' in space.yaml, line 6; write one of them",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, step: 0}",
            "search.batch_size has step 0 in space.yaml, line 6; write a step above 0",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 2, step: 0.5}",
            "search.batch_size is 1.5 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 1.5}",
            "search.batch_size has fractions and no step in space.yaml, line 6; write step: 0.1 or log: true",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: 1025}",
            "search.batch_size has more than 1024 values in space.yaml, line 6"
            "; write a larger step, log: true or a list",
        ),
        (
            SEARCH + "batch_size: {low: 1, high: many}",
            "search.batch_size.high is 'many' in space.yaml, line 6; allowed: a number",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str, folder: Path) -> None:
    assert refusal(text) == message
