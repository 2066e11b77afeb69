from __future__ import annotations

import itertools
import types
from pathlib import Path
from typing import Any

import pytest

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.errors import SpaceError
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains, Exclusion
from autotune.space import configs, values
from autotune.space import domains as resolving
from autotune.space.yaml_nodes import Node
from tests import machines
from tests.space.space_file import OPTIONS, SEARCH, hinted_axes, load, machine, refusal

PACKAGES = dict.fromkeys(("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf"), "1.0")
EQUIPPED: dict[str, Any] = {
    "packages": PACKAGES,
    "compiler": "/usr/bin/g++",
    "libraries": {"jemalloc": "/usr/lib/libjemalloc.so.2"},
    "huge_page_mode": "madvise",
    "glibc": "2.36",
}
MACHINES: dict[str, Hardware] = {
    "AMX": machines.hardware(4, 4, isa=("avx512_bf16", "amx_bf16"), smt=2, **EQUIPPED),
    "AVX2": machines.hardware(6, isa=("avx2",), **EQUIPPED),
    "a quota": machines.hardware(8, quota=1.5, isa=("avx2",), **EQUIPPED),
    "no compiler": machines.hardware(2, **{**EQUIPPED, "compiler": None}),
    "torch alone": machines.hardware(2, **{**EQUIPPED, "packages": {"torch": "1.0"}}),
    "bare": machines.hardware(1, packages={"torch": "1.0"}),
}
BARE = MACHINES["bare"]
PROVIDER = plugins.load("workloads", "torchvision")
PLAIN = PROVIDER.plain
every_machine = pytest.mark.parametrize("hw", MACHINES.values(), ids=MACHINES)


def node(value: Any, key: str = "search") -> Node:
    if isinstance(value, list):
        value = tuple(node(item, f"{key}[{index}]") for index, item in enumerate(value))
    elif isinstance(value, dict):
        value = {name: node(item, f"{key}.{name}") for name, item in value.items()}
    return Node(value=value, file="s.yaml", line=3, key=key)


def resolve(search: Node, hw: Hardware) -> tuple[Domains, tuple[Exclusion, ...]]:
    return resolving.resolve(search, hw, PROVIDER)


def everything() -> dict[str, Any]:
    """Every setting of every plugin at `auto`."""
    options = {name: values.kinds(plugins.load("backends", name).Options) for name in plugins.names("backends")}
    return {
        "batch_size": {"low": 1, "high": 8, "log": True},
        **dict.fromkeys(plugins.names("knobs"), "auto"),
        "backend": {name: dict.fromkeys(kinds, "auto") for name, kinds in options.items()},
    }


def runs(name: str, options: dict[str, Any], hw: Hardware) -> bool:
    return plugins.load("backends", name).unavailable(plugins.backend_options(name, options), hw) is None


@every_machine
@pytest.mark.parametrize("search", [{}, everything()], ids=["nothing", "everything"])
def test_every_value_can_be_honoured(search: dict[str, Any], hw: Hardware) -> None:
    domains, excluded = resolve(node(search), hw)
    assert tuple(domains.knobs) == plugins.names("knobs")
    for name, found in domains.knobs.items():
        assert found and all(plugins.load("knobs", name).unavailable(value, hw) is None for value in found)
    for name, axes in domains.backends.items():
        combinations = [dict(zip(axes, chosen, strict=True)) for chosen in itertools.product(*axes.values())]
        running = [options for options in combinations if runs(name, options, hw)]
        assert all(any(options[axis] == value for options in running) for axis in axes for value in axes[axis])
    assert all(exclusion.reason for exclusion in excluded)


@every_machine
def test_nothing_is_lost_without_a_reason(hw: Hardware) -> None:
    domains, excluded = resolve(node(everything()), hw)
    left_out = {(exclusion.setting, exclusion.value) for exclusion in excluded}
    assert set(domains.backends) | {value for name, value in left_out if name == "backend"} == set(
        plugins.names("backends")
    )
    for name, axes in domains.backends.items():
        for option, kind in values.kinds(plugins.load("backends", name).Options).items():
            lost = {value for where, value in left_out if where == f"{name}.{option}"}
            plugin: Any = plugins.load("backends", name)
            offered = plugin.domains(hw) if hasattr(plugin, "domains") else {}
            assert set(axes[option]) | lost == set(offered.get(option) or values.choices(kind) or ())
            assert not set(axes[option]) & lost


def test_what_auto_leaves_out_of_any_whole_number_has_a_reason() -> None:
    _, excluded = resolve(node({"block_time": "auto", "primitive_cache": "auto"}), BARE)
    assert [(one.setting, one.value) for one in excluded] == [
        ("block_time", 0),
        ("block_time", 1),
        ("primitive_cache", 1024),
    ]


@every_machine
def test_options_are_to_be_had_beside_others_or_have_a_reason(hw: Hardware) -> None:
    for name in plugins.names("backends"):
        found = resolving.options(name, [hw])
        if found is None:
            assert not runs(name, {}, hw)
            continue
        usable, left_out = found
        for option, kind in values.kinds(plugins.load("backends", name).Options).items():
            lost = {one.value for one in left_out if one.setting == f"{name}.{option}"}
            assert usable[option] and not lost & set(usable[option])
            assert set(values.choices(kind) or usable[option]) == lost | set(usable[option])
    if "openvino" in hw.packages:
        assert 0 in (resolving.options("openvino", [hw]) or ({}, ()))[0]["requests"]  # beside a hint


def test_without_a_search_the_plain_model_runs_once() -> None:
    domains, excluded = resolve(node(None), BARE)
    assert domains.batch_size == (1,)
    assert domains.knobs == {name: (plugins.load("knobs", name).default(BARE),) for name in plugins.names("knobs")}
    assert list(domains.backends) == [PLAIN]
    assert all(len(found) == 1 for found in domains.backends[PLAIN].values())
    assert excluded == ()


def test_values_keep_the_order_written_without_those_left_out() -> None:
    search = {"layout": ["2x2", "1x1", "9x9", "1x2"], "backend": {PLAIN: {"precision": ["bfloat16", "float32"]}}}
    domains, excluded = resolve(node(search), MACHINES["AVX2"])
    assert domains.knobs["layout"] == ("2x2", "1x1", "1x2")
    assert domains.backends[PLAIN]["precision"] == ("float32",)
    assert [(exclusion.setting, exclusion.value) for exclusion in excluded] == [
        ("layout", "9x9"),
        (f"{PLAIN}.precision", "bfloat16"),
    ]


def test_one_backend_that_runs_is_enough() -> None:
    domains, excluded = resolve(node({"backend": {"openvino": None, PLAIN: None}}), BARE)
    assert list(domains.backends) == [PLAIN]
    reason = "openvino, onnx, onnxscript not installed; pip install openvino onnx onnxscript"
    assert excluded == (Exclusion(setting="backend", value="openvino", reason=reason),)


def test_where_no_backend_runs_every_reason_is_given() -> None:
    with pytest.raises(SpaceError) as caught:
        resolve(node({"backend": {"onnxruntime": None, "openvino": None}}), BARE)
    said = str(caught.value)
    assert said.startswith("no backend of search.backend can be used here in s.yaml, line 3; onnxruntime: ")
    assert "; openvino: " in said and "\n" not in said


def test_counts_beside_auto_fill_the_machine() -> None:
    assert resolve(node({"workers": 3}), MACHINES["AVX2"])[0].knobs["layout"] == ("3x1", "3x2")
    domains, excluded = resolve(node({"workers": [1, 3, 7], "threads": "auto"}), MACHINES["AVX2"])
    assert domains.knobs["layout"] == ("1x1", "1x2", "1x3", "1x4", "1x5", "1x6", "3x1", "3x2")
    reason = "7x1 needs 7 cores, and 6 are usable"
    assert excluded == (Exclusion(setting="layout", value="7x1", reason=reason),)


# ------------------------------------------------------------------------------------------ of a written file


def test_auto_asks_knobs_and_options(folder: Path) -> None:
    found = load(f"{SEARCH}allocator: auto\n  huge_pages: auto\n  backend: {{torch_compile: {{freezing: auto}}}}")
    assert found.domains.knobs["allocator"] == ("system", "tcmalloc")
    assert found.domains.knobs["huge_pages"] == (False, True)
    assert found.domains.backends["torch_compile"]["freezing"] == (False, True)


def test_workers_and_threads_become_layouts(folder: Path) -> None:
    def layouts(text: str) -> tuple[object, ...]:
        return load(SEARCH + text, machine(cores=4)).domains.knobs["layout"]

    assert layouts("workers: [1, 2]\n  threads: [1, 2]") == ("1x1", "1x2", "2x1", "2x2")
    assert layouts("workers: 4") == ("4x1",)
    assert layouts("threads: auto\n  workers: auto") == ("1x1", "1x2", "1x3", "1x4", "2x1", "2x2", "3x1", "4x1")
    assert layouts("layout: [2x2, 1x4]") == ("2x2", "1x4")
    assert layouts("layout: auto") == layouts("workers: auto")


def test_a_count_that_fits_with_nothing_is_left_out_with_the_reason(folder: Path) -> None:
    found = load(f"{SEARCH}workers: [1, 8]\n  threads: [1, 2]")
    assert found.domains.knobs["layout"] == ("1x1", "1x2")
    reason = "8x1 needs 8 cores, and 2 are usable"
    assert found.excluded == (Exclusion(setting="layout", value="8x1", reason=reason),)


def test_what_this_machine_cannot_honour_is_left_out_with_the_reason(folder: Path) -> None:
    text = (
        f"{SEARCH}allocator: [system, jemalloc]\n  huge_pages: [false, true]\n  layout: [1x2, 4x4]\n  backend:\n"
        "    torch_eager: {precision: [float32, bfloat16]}\n    openvino:\n    torch_compile: {precision: bfloat16}"
    )
    hw = machine(huge_page_mode="never", packages={"torch": "1", "torchvision": "1"})
    found = load(text, hw)
    assert found.domains.knobs.items() >= {"allocator": ("system",), "huge_pages": (False,), "layout": ("1x2",)}.items()
    assert found.domains.backends == {"torch_eager": {"memory_format": ("contiguous",), "precision": ("float32",)}}
    excluded = {(exclusion.setting, exclusion.value): exclusion.reason for exclusion in found.excluded}
    assert set(excluded) == {
        ("allocator", "jemalloc"),
        ("huge_pages", True),
        ("layout", "4x4"),
        ("torch_eager.precision", "bfloat16"),
        ("backend", "openvino"),
        ("backend", "torch_compile"),
    }
    assert all(excluded.values())
    assert excluded["backend", "openvino"].startswith("openvino, onnx, onnxscript not installed")


def test_nothing_left_to_run_is_an_error_with_every_reason(folder: Path) -> None:
    hw = machine(packages={"torch": "1", "torchvision": "1"}, compiler=None)
    message = refusal(OPTIONS + "torch_compile:\n    openvino: {precision: int8}", hw)
    assert message.startswith(
        "no backend of search.backend can be used here in space.yaml, line 6; torch_compile: torch."
    )
    assert "; openvino: openvino, onnx, onnxscript, nncf not installed" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SEARCH + "backend: {}",
            f"search.backend is empty in space.yaml, line 6; allowed: {', '.join(plugins.names('backends'))}",
        ),
        (
            SEARCH + "threads: [4, 8]",
            "no pair of search.workers and search.threads fits in space.yaml, line 6"
            "; 1x4 needs 4 cores, and 2 are usable",
        ),
        (
            SEARCH + "layout: 9x9",
            "no value of search.layout can be used here in space.yaml, line 6"
            "; 9x9: 9x9 needs 81 cores, and 2 are usable",
        ),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str, folder: Path) -> None:
    assert refusal(text) == message


def test_what_fails_only_together_stays_and_is_found_by_unavailable(folder: Path, hinted: types.ModuleType) -> None:
    found = load(f"{SEARCH}backend: {{hinted: {{hint: [latency, none], streams: [1, 4, 8]}}}}")
    assert found.domains.backends["hinted"] == {"hint": ("latency", "none"), "streams": (1, 4), "ratio": (0.5,)}
    assert found.excluded == (Exclusion(setting="hinted.streams", value=8, reason="too many"),)

    def config(hint: str) -> Config:
        return configs.configure(machine(), batch_size=1, backend="hinted", options={"hint": hint, "streams": 2})

    assert configs.unavailable(config("latency"), machine()) == "hinted: a hint excludes streams"
    assert configs.unavailable(config("none"), machine()) is None


def test_only_combinations_that_never_run_exclude_the_backend(folder: Path, hinted: types.ModuleType) -> None:
    text = f"{OPTIONS}torch_eager:\n    hinted: {{hint: latency, streams: [2, 4]}}"
    assert load(text).excluded == (Exclusion(setting="backend", value="hinted", reason="a hint excludes streams"),)


def test_auto_of_an_option_is_its_literal_unless_the_backend_says_more(folder: Path, hinted: Any) -> None:
    assert hinted_axes("hint: auto")["hint"] == ("none", "latency", "auto")
    assert hinted_axes("hint: [auto]")["hint"] == ("auto",)
    assert refusal(f"{SEARCH}backend: {{hinted: {{streams: auto}}}}") == (
        "search.backend.hinted.streams has no 'auto' in space.yaml, line 6; allowed: a whole number"
    )
    hinted.domains = lambda hw: {"streams": (1, len(hw.cores)), "hint": ("none",)}
    assert hinted_axes("streams: auto, hint: auto") == {"hint": ("none",), "streams": (1, 2), "ratio": (0.5,)}
