from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core import plugins
from autotune.core.errors import SpaceError
from autotune.space import values as setting
from autotune.space.values import MAX_RANGE, Count, Name, Seed, choices, expand, kinds, legal, one, values
from autotune.space.yaml_nodes import Node

Colour = Literal["red", "green", "blue"]
Ratio = Annotated[float, msgspec.Meta(ge=0.5, le=2)]


def node(value: Any, key: str = "search.x") -> Node:
    """What a reader makes of a value on line 3."""
    if isinstance(value, list):
        value = tuple(node(item, f"{key}[{index}]") for index, item in enumerate(value))
    elif isinstance(value, dict):
        value = {name: node(item, f"{key}.{name}") for name, item in value.items()}
    return Node(value=value, file="s.yaml", line=3, key=key)


def refusal(value: Any, kind: Any) -> str:
    with pytest.raises(SpaceError) as caught:
        values(node(value), kind)
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------- types


def test_options_have_the_types_that_the_plugin_declares() -> None:
    found = kinds(plugins.load("backends", "torch_compile").Options)
    assert list(found)[:2] == ["memory_format", "precision"]
    assert choices(found["precision"]) == ("float32", "bfloat16")
    assert found["freezing"] is bool


def test_a_knobs_type_is_its_value() -> None:
    assert choices(setting.knob("huge_pages")) == (False, True)
    assert choices(setting.knob("layout")) is None


@pytest.mark.parametrize(
    ("kind", "found"), [(bool, (False, True)), (Colour, ("red", "green", "blue")), (int, None), (Count, None)]
)
def test_choices_are_those_of_a_type_that_has_few(kind: Any, found: tuple[object, ...] | None) -> None:
    assert choices(kind) == found


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true, false"),
        (Colour, "blue, green, red"),
        (int, "a whole number"),
        (Count, "a whole number from 1"),
        (Seed, "a whole number from 0"),
        (float, "a number"),
        (Ratio, "a number from 0.5 up to 2"),
        (Name, "letters, digits, '.', '_' and '-', a letter or digit first"),
        (str, "text"),
        (str | None, "text or null"),
        (setting.knob("layout"), "WORKERSxTHREADS, such as 2x1"),
    ],
)
def test_what_is_legal_is_said_in_words(kind: Any, words: str) -> None:
    assert legal(kind) == words


# -------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (3, Count, (3,)),
        (1e3, Count, (1000,)),
        ([3, 1], Count, (3, 1)),
        (1, float, (1.0,)),
        ({"low": 1, "high": 2, "step": 0.5}, float, (1.0, 1.5, 2.0)),
        (["red", "blue"], Colour, ("red", "blue")),
        ([True, False], bool, (True, False)),
        (["auto", "x"], str, ("auto", "x")),
        ([None, "x"], str | None, (None, "x")),
        ([True, 1, 1.5, "1"], bool | int | float | str, (True, 1, 1.5, "1")),
    ],
)
def test_values_have_the_declared_type_and_the_written_order(value: Any, kind: Any, found: tuple[object, ...]) -> None:
    got = values(node(value), kind)
    assert got == found
    assert [type(item) for item in got] == [type(item) for item in found]


def test_auto_is_what_it_stands_for() -> None:
    assert values(node("auto"), Colour, ("blue",)) == ("blue",)
    assert values(node("auto"), Count, ()) == ()
    assert refusal("auto", Colour) == "search.x has no 'auto' in s.yaml, line 3; allowed: blue, green, red"


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("gren", Colour, "search.x is 'gren' in s.yaml, line 3; allowed: blue, green, red; did you mean 'green'?"),
        ("x", Colour, "search.x is 'x' in s.yaml, line 3; allowed: blue, green, red"),
        (["red", 1], Colour, "search.x[1] is 1 in s.yaml, line 3; allowed: blue, green, red"),
        (3, Ratio, "search.x is 3 in s.yaml, line 3; allowed: a number from 0.5 up to 2"),
        ("true", bool, "search.x is 'true' in s.yaml, line 3; allowed: true, false"),
        (True, Count, "search.x is true in s.yaml, line 3; allowed: a whole number from 1"),
        ("1", Count, "search.x is '1' in s.yaml, line 3; allowed: a whole number from 1"),
        ([1, 1.0], float, "search.x has 1.0 twice in s.yaml, line 3; write each value once"),
        ([[1]], Count, "search.x[0] is a list in s.yaml, line 3; write one value: a whole number from 1"),
        (
            {"low": 1, "high": 2.5, "step": 1},
            Count,
            "search.x is 2.5 in s.yaml, line 3; allowed: a whole number from 1",
        ),
    ],
)
def test_what_is_not_legal_is_named_with_what_is(value: Any, kind: Any, message: str) -> None:
    assert refusal(value, kind) == message


@pytest.mark.parametrize("value", [[1], {"low": 1, "high": 2}])
def test_one_value_is_neither_a_list_nor_a_range(value: Any) -> None:
    with pytest.raises(SpaceError, match="write one value: a whole number from 1"):
        one(node(value), Count)
    assert one(node(7), Count) == 7


# -------------------------------------------------------------------------------------------------------- ranges


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
    assert all(2 * a == pytest.approx(b) for a, b in pairwise(found[:-1]))
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
