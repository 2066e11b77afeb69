from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from autotune.core import plugins
from autotune.core.errors import SpaceError
from autotune.space import values as setting
from autotune.space.values import Count, Name, Seed, choices, kinds, legal, one, values
from autotune.space.yaml_nodes import Node
from tests.space import space_file
from tests.space.space_file import BASELINE, HEAD, OPTIONS, SEARCH

Colour = Literal["red", "green", "blue"]
Ratio = Annotated[float, msgspec.Meta(ge=0.5, le=2)]


def node(value: Any, key: str = "search.x") -> Node:
    """The node that a reader makes of a value on line 3."""
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


# ----------------------------------------------------------------------------------------------- of a whole file


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("4", (4,)),
        ("1e1", (10,)),
        ("[4, 1, 2]", (4, 1, 2)),
        ("{low: 1, high: 4}", (1, 2, 3, 4)),
        ("{low: 1, high: 8, step: 3}", (1, 4, 7, 8)),
        ("{low: 4, high: 4}", (4,)),
        ("{low: 1, high: 12, log: true}", (1, 2, 4, 8, 12)),
        ("{low: 3, high: 24, log: true}", (3, 6, 12, 24)),
        ("{low: 1, high: 1024, log: false}", tuple(range(1, 1025))),
    ],
)
def test_a_value_a_list_or_a_range(written: str, values: tuple[int, ...], folder: Path) -> None:
    found = space_file.load(f"{SEARCH}batch_size: {written}").domains.batch_size
    assert found == values
    assert all(type(value) is int for value in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "serch: {}", "unknown key 'serch' in space.yaml, line 5; did you mean 'search'?"),
        (SEARCH + "alocator: auto", "unknown knob 'alocator' in space.yaml, line 6; did you mean 'allocator'?"),
        (
            OPTIONS + "onnxruntim: {}",
            "unknown backend 'onnxruntim' in space.yaml, line 7; did you mean 'onnxruntime'?",
        ),
        (
            OPTIONS + "torch_eager:\n      precison: float32",
            "unknown torch_eager option 'precison' in space.yaml, line 8; did you mean 'precision'?",
        ),
        (
            OPTIONS + "torch_eager: {precision: bfloat}",
            "search.backend.torch_eager.precision is 'bfloat' in space.yaml, line 7; allowed: bfloat16, float32"
            "; did you mean 'bfloat16' or 'float32'?",
        ),
        (
            SEARCH + "huge_pages: [false, 1]",
            "search.huge_pages[1] is 1 in space.yaml, line 6; allowed: true, false",
        ),
        (SEARCH + "batch_size: {low: 1, hihg: 2}", "unknown key 'hihg' in space.yaml, line 6; did you mean 'high'?"),
        (
            HEAD + "search: {}\nbudget: {trails: 3}",
            "unknown key 'trails' in space.yaml, line 6; did you mean 'trials'?",
        ),
        (BASELINE + "allocater: system", "unknown knob 'allocater' in space.yaml, line 7; did you mean 'allocator'?"),
        (
            HEAD + "  wieghts: x\nsearch: {}",
            "unknown key 'wieghts' in space.yaml, line 5; did you mean 'weights'?",
        ),
        (
            HEAD.replace("torchvision:", "torchvison:") + "search: {}",
            "unknown provider 'torchvison' of workload.model in space.yaml, line 3; did you mean 'torchvision'?",
        ),
        (SEARCH + "batch_size: 0", "search.batch_size is 0 in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: [1, -2]",
            "search.batch_size[1] is -2 in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (SEARCH + "batch_size: 1.5", "search.batch_size is 1.5 in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: true",
            "search.batch_size is true in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (SEARCH + "batch_size:", "search.batch_size is null in space.yaml, line 6; allowed: a whole number from 1"),
        (
            SEARCH + "batch_size: auto",
            "search.batch_size has no 'auto' in space.yaml, line 6; allowed: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: []",
            "search.batch_size is an empty list in space.yaml, line 6; write at least one value: a whole number from 1",
        ),
        (
            SEARCH + "batch_size:\n    - 1\n    - [2]",
            "search.batch_size[1] is a list in space.yaml, line 8; write one value: a whole number from 1",
        ),
        (
            SEARCH + "batch_size: [1, 2, 1e0]",
            "search.batch_size has 1 twice in space.yaml, line 6; write each value once",
        ),
        (
            SEARCH + "layout: [1x1, two]",
            "search.layout[1] is 'two' in space.yaml, line 6; allowed: WORKERSxTHREADS, such as 2x1",
        ),
        (
            SEARCH + "layout: 1x1\n  threads: 2",
            "search.layout beside workers or threads in space.yaml, line 6; write one or the other",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str, folder: Path) -> None:
    assert space_file.refusal(text) == message
