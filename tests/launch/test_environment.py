from __future__ import annotations

import msgspec
import pytest

from autotune.core import variables
from autotune.core.config import Config
from autotune.core.errors import PluginError
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.launch import environment
from autotune.space import configs
from tests import fake_hardware
from tests.study import fakes

MACHINE = fakes.machine(cores=4)


def configured(hw: Hardware = MACHINE, backend: str = "openvino", **knobs: bool | int | float | str) -> Config:
    return configs.configure(hw, batch_size=1, backend=backend, options={}, knobs=knobs)


# ---------------------------------------------------------------------------------------------------------- merge


def test_two_values_of_a_variable_name_both_owners() -> None:
    with pytest.raises(PluginError) as caught:
        environment.merge(
            [
                ("layout", LaunchPatch(env={"OMP_NUM_THREADS": "2"})),
                ("quiet", LaunchPatch(env={"OTHER": "1"})),
                ("openmp", LaunchPatch(env={"OMP_NUM_THREADS": "4"})),
            ]
        )
    assert str(caught.value) == "layout and openmp both set OMP_NUM_THREADS: '2' and '4'"


def test_setting_and_unsetting_contradict_each_other() -> None:
    sets, unsets = LaunchPatch(env={"X": "1"}), LaunchPatch(env={"X": None})
    with pytest.raises(PluginError, match="a and b both set X: None and '1'"):
        environment.merge([("a", unsets), ("b", sets)])
    with pytest.raises(PluginError, match="a and b both set X: '1' and None"):
        environment.merge([("a", sets), ("b", unsets)])


def test_two_owners_of_a_variable_are_refused_even_if_they_agree() -> None:
    with pytest.raises(PluginError, match="a and b both set X"):
        environment.merge([("a", LaunchPatch(env={"X": "1"})), ("b", LaunchPatch(env={"X": "1"}))])


def test_preloads_and_prefixes_keep_their_order() -> None:
    merged = environment.merge(
        [
            ("a", LaunchPatch(preload=("/core.so", "/proxy.so"), argv_prefix=("numactl", "--localalloc"))),
            ("b", LaunchPatch(preload=("/omp.so", "/core.so"), argv_prefix=("nice",))),
        ]
    )
    assert merged.preload == ("/core.so", "/proxy.so", "/omp.so")
    assert merged.argv_prefix == ("numactl", "--localalloc", "nice")


def test_nothing_merges_to_nothing() -> None:
    assert environment.merge([]) == LaunchPatch()


# ---------------------------------------------------------------------------------------------------------- apply


def test_a_child_inherits_only_what_is_listed() -> None:
    environ = dict.fromkeys(variables.INHERITED, "here") | {
        "LD_PRELOAD": "/other.so",
        "OMP_NUM_THREADS": "64",
        "PYTHONPATH": "/elsewhere",
        "RANK": "0",
        "WORLD_SIZE": "8",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
    assert environment.apply(LaunchPatch(), environ, "/cache") == dict.fromkeys(variables.INHERITED, "here")


def test_what_is_named_is_inherited_too() -> None:
    environ = {"PATH": "/bin", "MODEL_DIR": "/models", "OTHER": "1"}
    kept = {"PATH": "/bin", "MODEL_DIR": "/models"}
    assert environment.apply(LaunchPatch(), environ, "/cache", ["MODEL_DIR", "UNSET"]) == kept


def test_what_is_not_set_is_not_inherited() -> None:
    assert environment.apply(LaunchPatch(), {"PATH": "/bin"}, "/cache") == {"PATH": "/bin"}


def test_none_unsets() -> None:
    asked = LaunchPatch(env={"LD_LIBRARY_PATH": None, "NEVER_SET": None})
    assert environment.apply(asked, {"PATH": "/bin", "LD_LIBRARY_PATH": "/lib"}, "/cache") == {"PATH": "/bin"}


def test_asked_for_beats_inherited() -> None:
    assert environment.apply(LaunchPatch(env={"CC": "clang"}), {"CC": "gcc"}, "/cache") == {"CC": "clang"}


def test_cache_stands_for_the_cache_folder() -> None:
    asked = LaunchPatch(env={"A": "{cache}/inductor", "B": "{cache}:{cache}", "C": "{other}"})
    assert environment.apply(asked, {}, "/home/me/cache") == {
        "A": "/home/me/cache/inductor",
        "B": "/home/me/cache:/home/me/cache",
        "C": "{other}",
    }


def test_preload_is_one_variable() -> None:
    env = environment.apply(LaunchPatch(preload=("/a.so", "/b.so")), {"LD_PRELOAD": "/other.so"}, "/cache")
    assert env == {"LD_PRELOAD": "/a.so:/b.so"}


def test_nothing_given_is_changed() -> None:
    environ = {"PATH": "/bin"}
    environment.apply(LaunchPatch(env={"PATH": None, "X": "1"}, preload=("/a.so",)), environ, "/cache")
    assert environ == {"PATH": "/bin"}


# ------------------------------------------------------------------------------------------------ a configuration


def test_every_knob_and_the_backend_have_their_say() -> None:
    patch = environment.patch(configured(allocator="tcmalloc", huge_pages=True, layout="2x1"), MACHINE)
    assert patch.preload == (fake_hardware.LIBRARIES["tcmalloc"],)
    assert patch.env["OMP_NUM_THREADS"] == "1"
    assert patch.env["THP_MEM_ALLOC_ENABLE"] == "1"
    assert patch.env["TBB_ENABLE_SANITIZERS"] == "1"


def test_a_knob_that_is_not_known_is_named() -> None:
    config = msgspec.structs.replace(configured(), knobs={"layout": "1x1", "alocator": "system"})
    with pytest.raises(PluginError, match="unknown knob 'alocator'; did you mean 'allocator'"):
        environment.patch(config, MACHINE)


def test_each_worker_has_its_place() -> None:
    places = environment.placements(configured(layout="2x2"), MACHINE)
    assert [place.threads for place in places] == [2, 2]
    assert sorted(cpu for place in places for cpu in place.cpus) == [0, 1, 2, 3]
