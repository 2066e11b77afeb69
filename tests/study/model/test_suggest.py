from __future__ import annotations

import random
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.model import suggest
from tests.study.fakes import DOMAINS, SMALL, machine, plain

HW = machine()
OPTIONS: dict[str, dict[str, tuple[Value, ...]]] = {
    "torch_eager": {"memory_format": ("contiguous", "channels_last")},
    "torch_compile": {"memory_format": ("contiguous", "channels_last"), "freezing": (False, True)},
    "onnxruntime": {"precision": ("float32",)},
    "openvino": {"precision": ("float32", "int8")},
}


@st.composite
def domains(draw: st.DrawFn) -> Domains:
    def some(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(draw(st.permutations(values))[: draw(st.integers(1, len(values)))])

    backends = some(tuple(OPTIONS))
    knobs: dict[str, tuple[Value, ...]] = {
        "allocator": ("system", "tcmalloc"),
        "layout": ("1x2", "2x1", "1x1"),
        "huge_pages": (False, True),
        "block_time": (0, 1, 200),  # without effect here, and its default is not its first value
        "primitive_cache": (0, 1024),
    }
    named = draw(st.sets(st.sampled_from(sorted(knobs))))
    return Domains(
        batch_size=some((1, 2, 4)),
        knobs={knob: some(knobs[knob]) for knob in sorted(named)},
        backends={backend: {option: some(v) for option, v in OPTIONS[backend].items()} for backend in backends},
    )


@settings(deadline=None, max_examples=30)
@given(domains(), st.randoms(use_true_random=False))
def test_every_configuration_is_reached_by_its_parameters(found: Domains, rng: random.Random) -> None:
    everything = list(suggest.untried(found, HW, (), rng))
    # some settings do nothing beside others, and so do not tell configurations apart
    assert len({config.key for config in everything}) <= len(everything) == suggest.count(found)
    study = optuna.create_study()
    for config in rng.sample(everything, min(5, len(everything))):
        params = suggest.parameters(config, found, HW)
        assert params is not None
        study.enqueue_trial(params)
        trial = study.ask()
        assert suggest.suggest(trial, found, HW) == config
        assert trial.params.items() <= params.items()


def test_parameters_are_named_as_documented_and_single_values_are_not_asked_for() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"backend": "openvino"})
    trial = study.ask()
    config = suggest.suggest(trial, DOMAINS, HW)
    assert config.backend == "openvino"
    assert set(trial.params) == {"batch_size", "allocator", "layout", "backend", "openvino.precision"}
    study.enqueue_trial({"backend": "onnxruntime"})
    trial = study.ask()
    assert suggest.suggest(trial, DOMAINS, HW).options["precision"] == "float32"
    assert set(trial.params) == {"batch_size", "allocator", "layout", "backend"}


def test_a_space_of_one_point_asks_nothing() -> None:
    found = Domains(batch_size=(4,), knobs={}, backends={"torch_eager": {}})
    trial = optuna.create_study().ask()
    assert suggest.suggest(trial, found, HW) == plain(HW, 4)
    assert trial.params == {}
    assert suggest.parameters(plain(HW, 4), found, HW) == {}


@pytest.mark.parametrize(
    "found",
    [
        Domains(batch_size=(1,), knobs={}, backends={"openvino": {}}),
        Domains(batch_size=(2, 4), knobs={}, backends={"torch_eager": {}}),
        Domains(batch_size=(1,), knobs={"allocator": ("tcmalloc",)}, backends={"torch_eager": {}}),
        Domains(batch_size=(1,), knobs={}, backends={"torch_eager": {"memory_format": ("channels_last",)}}),
    ],
)
def test_a_baseline_outside_the_domains_has_no_parameters(found: Domains) -> None:
    assert suggest.parameters(plain(HW), found, HW) is None


def test_a_setting_that_is_not_named_must_have_its_default() -> None:
    changed = next(suggest.untried(DOMAINS, HW, {plain(HW).key}, random.Random(0)))
    named = {"allocator", "layout"}
    found = Domains(batch_size=(1, 2, 4, 8, 16), knobs={}, backends=DOMAINS.backends)
    differs = any(changed.knobs[name] != plain(HW).knobs[name] for name in named)
    assert (suggest.parameters(changed, found, HW) is None) == differs


def test_unseen_leaves_out_what_was_seen_and_starts_anywhere() -> None:
    everything = list(suggest.untried(SMALL, HW, (), random.Random(0)))
    left = everything[3]
    seen = {config.key for config in everything} - {left.key}
    assert list(suggest.untried(SMALL, HW, seen, random.Random(1))) == [left]
    assert list(suggest.untried(SMALL, HW, seen | {left.key}, random.Random(1))) == []
    first = {next(suggest.untried(SMALL, HW, (), random.Random(seed))).key for seed in range(40)}
    assert len(first) == suggest.count(SMALL) == 8


def test_knobs_that_would_do_nothing_are_left_at_their_defaults() -> None:
    """Intel's block time beside GNU's OpenMP, jemalloc's tuning beside another allocator: one configuration."""
    knobs: dict[str, tuple[Value, ...]] = {
        "allocator": ("system", "tcmalloc", "jemalloc"),
        "jemalloc_conf": ("default", "run_cpu", "keep"),
        "tcmalloc_conf": ("default", "large_cache", "keep"),
        "block_time": (200, 0, 1),
        "wait_policy": ("default", "active", "passive"),
        "layout": ("1x2", "2x1"),
    }
    found = Domains(batch_size=(1,), knobs=knobs, backends={"onnxruntime": {}})
    drawn = list(suggest.untried(found, HW, (), random.Random(0)))
    assert len(drawn) == suggest.count(found)
    assert {configs.unavailable(config, HW) for config in drawn} == {None}
    assert len({config.key for config in drawn}) == 2 * (1 + 3 + 3)
    assert all(suggest.parameters(config, found, HW) is not None for config in drawn)


def test_knobs_that_can_do_nothing_are_not_asked_for() -> None:
    knobs: dict[str, tuple[Value, ...]] = {
        "allocator": ("system", "jemalloc"),
        "jemalloc_conf": ("default", "run_cpu"),
        "affinity": ("none", "close"),
        "layout": ("1x2",),
    }
    found = Domains(batch_size=(1,), knobs=knobs, backends={"onnxruntime": {}, "torch_eager": {}})
    study = optuna.create_study()
    for backend, allocator, asked in (
        ("onnxruntime", "system", {"allocator"}),
        ("onnxruntime", "jemalloc", {"allocator", "jemalloc_conf"}),
        ("torch_eager", "system", {"allocator", "affinity"}),
    ):
        study.enqueue_trial({"backend": backend, "allocator": allocator})
        trial = study.ask()
        suggest.suggest(trial, found, HW)
        assert set(trial.params) == {"backend"} | asked
