from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core.config import Config
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.model import suggest
from autotune.study.model.config_diff import Change, between, changes, without
from tests.study.fakes import machine, plain

HW = machine(isa=("avx512f", "avx512_bf16"))
DOMAINS = Domains(
    batch_size=(1, 8),
    knobs={"allocator": ("system", "tcmalloc"), "layout": ("1x2", "2x1"), "huge_pages": (False, True)},
    backends={
        "torch_eager": {"memory_format": ("contiguous", "channels_last"), "precision": ("float32", "bfloat16")},
        "torch_compile": {"memory_format": ("contiguous", "channels_last"), "freezing": (False, True)},
        "onnxruntime": {},
        "openvino": {"precision": ("float32", "int8")},
    },
)
EVERYTHING = list(suggest.untried(DOMAINS, HW, (), random.Random(0)))


def config(backend: str = "torch_eager", batch_size: int = 1, **settings: Value) -> Config:
    """Knobs by their names, options with an underscore behind theirs."""
    knobs = {name: value for name, value in settings.items() if not name.endswith("_")}
    options = {name.removesuffix("_"): value for name, value in settings.items() if name.endswith("_")}
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs)


def test_every_setting_that_differs_is_a_change() -> None:
    found = config("torch_compile", 8, allocator="tcmalloc", freezing_=True)
    assert changes(found, plain(HW)) == (
        Change(setting="batch_size", value=8, instead=1),
        Change(setting="allocator", value="tcmalloc", instead="system"),
        Change(setting="backend", value="torch_compile", instead="torch_eager"),
        Change(setting="torch_compile.freezing", value=True, instead=False),
    )
    assert [change.option for change in changes(found, plain(HW))] == [False, False, False, True]
    assert changes(found, found) == ()


@pytest.mark.parametrize(
    ("baseline", "instead"),
    [
        (config("torch_eager", memory_format_="contiguous"), "contiguous"),
        (config("torch_eager", memory_format_="channels_last"), None),
        (config("onnxruntime"), "contiguous"),
    ],
    ids=["the baseline's value", "the same as the baseline's", "the backend's default"],
)
def test_an_option_goes_back_to_the_baselines_value_where_that_is_legal(baseline: Config, instead: str | None) -> None:
    found = {
        one.setting: one.instead for one in changes(config("torch_compile", memory_format_="channels_last"), baseline)
    }
    assert found.get("torch_compile.memory_format") == instead


def test_an_option_of_the_same_name_with_other_values_goes_back_to_the_default() -> None:
    baseline = config("torch_eager", precision_="bfloat16")
    (_, precision) = changes(config("onnxruntime", precision_="int8"), baseline)
    assert precision == Change(setting="onnxruntime.precision", value="int8", instead="float32")
    assert [one.setting for one in changes(config("onnxruntime"), baseline)] == ["backend"]


def test_a_backend_takes_its_options_along() -> None:
    baseline = config("torch_eager", precision_="bfloat16")
    found = config("torch_compile", 8, memory_format_="channels_last", freezing_=True)
    assert without(found, baseline, {"backend"}, HW) == config("torch_eager", 8, precision_="bfloat16")
    assert between(found, baseline, {"torch_compile.freezing"}, HW) == baseline


def test_one_setting_is_put_back_and_the_others_stay() -> None:
    found = config("torch_compile", 8, allocator="tcmalloc", freezing_=True)
    assert without(found, plain(HW), {"torch_compile.freezing"}, HW) == config("torch_compile", 8, allocator="tcmalloc")
    assert without(found, plain(HW), {"batch_size"}, HW) == config(
        "torch_compile", 1, allocator="tcmalloc", freezing_=True
    )
    assert without(found, plain(HW), {"allocator", "batch_size"}, HW) == config("torch_compile", freezing_=True)


def test_an_option_of_the_baselines_own_backend_goes_back_by_itself() -> None:
    found = config("torch_eager", memory_format_="channels_last", precision_="bfloat16")
    assert [one.setting for one in changes(found, plain(HW))] == ["torch_eager.memory_format", "torch_eager.precision"]
    assert without(found, plain(HW), {"torch_eager.precision"}, HW) == config(memory_format_="channels_last")


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(EVERYTHING), st.sampled_from(EVERYTHING), st.data())
def test_all_changes_make_the_configuration_and_none_the_baseline(
    found: Config, baseline: Config, data: st.DataObject
) -> None:
    named = [change.setting for change in changes(found, baseline)]
    assert between(found, baseline, named, HW) == without(found, baseline, (), HW) == found
    assert between(found, baseline, (), HW) == without(found, baseline, named, HW) == baseline
    some = set(data.draw(st.lists(st.sampled_from(named)))) if named else set()
    halfway = between(found, baseline, some, HW)
    assert halfway == without(found, baseline, set(named) - some, HW)
    assert halfway.backend == (found.backend if "backend" in some else baseline.backend)
    for change in changes(found, baseline):
        if not change.option:
            continue
        if halfway.backend == found.backend:
            expected = change.value if change.setting in some else change.instead
            assert halfway.options[change.setting.partition(".")[2]] == expected
        else:
            assert halfway.options == baseline.options


def test_a_command_has_only_the_values_that_its_baseline_has() -> None:
    values = {"mode": "fast", "size": 2}
    baseline, found = (
        configs.configure(HW, batch_size=1, backend="command", options=values | {"mode": mode})
        for mode in ("fast", "exact")
    )
    (change,) = changes(found, baseline)
    assert change == Change(setting="command.mode", value="exact", instead="fast")
    assert between(found, baseline, set(), HW) == baseline
