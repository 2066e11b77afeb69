from __future__ import annotations

import msgspec

from autotune.core.machine import Hardware
from autotune.core.space_types import Domains
from autotune.core.struct import Value
from autotune.report.text import formatting
from autotune.study.model import suggest
from autotune.study.search import recipes
from tests.study.fakes import DOMAINS, machine, plain, resolved

HW = machine()
TORCH: dict[str, tuple[Value, ...]] = {
    "memory_format": ("contiguous", "channels_last"),
    "precision": ("float32", "bfloat16"),
}
WIDE = Domains(
    batch_size=(1, 2, 4, 16),
    knobs={"allocator": ("system", "tcmalloc"), "huge_pages": (False, True), "layout": ("1x4", "4x1")},
    backends={
        "torch_eager": TORCH,
        "torch_compile": {**TORCH, "freezing": (False, True)},
        "onnxruntime": {"precision": ("float32",)},
        "openvino": {"precision": ("float32", "int8")},
    },
)


def test_on_x86_int8_comes_first() -> None:
    baseline, *advised = recipes.first(resolved(HW), HW)
    assert baseline == plain(HW)
    assert [formatting.configuration(config).partition(",")[0] for config in advised] == [
        "openvino int8",
        "openvino int8",
        "torch_eager channels_last float32",
        "onnxruntime float32",
    ]
    assert [config.knobs["layout"] for config in advised] == ["1x2", "2x1", "1x2", "1x2"]
    assert [config.knobs["allocator"] for config in advised] == ["system", "system", "tcmalloc", "system"]
    assert {config.workload.batch_size for config in advised} == {8}
    assert all(suggest.parameters(config, DOMAINS, HW) is not None for config in advised)


def test_the_nearest_batch_size_and_a_missing_allocator_are_made_do_with() -> None:
    found = Domains(batch_size=(1, 2, 5), knobs={"allocator": ("system",)}, backends=DOMAINS.backends)
    _, *advised = recipes.first(resolved(HW, found), HW)
    assert {(config.workload.batch_size, config.knobs["allocator"]) for config in advised} == {(5, "system")}


def test_a_recipe_whose_options_are_not_to_be_had_is_left_out() -> None:
    found = Domains(
        batch_size=(1, 8),
        knobs={},
        backends={"torch_compile": {"freezing": (False,)}, "openvino": {"precision": ("float32",)}},
    )
    _, *advised = recipes.first(resolved(HW, found), HW)
    assert [(config.backend, config.options["precision"]) for config in advised] == [("openvino", "float32")]


def test_bfloat16_needs_the_instructions() -> None:
    new = machine(4, isa=("avx512f", "amx_bf16"))
    old = machine(4)

    def precisions(hw: Hardware) -> list[Value]:
        return [config.options["precision"] for config in recipes.first(resolved(hw, WIDE), hw)]

    assert precisions(new).count("bfloat16") == 1
    assert precisions(old).count("bfloat16") == 0


def test_arm_takes_bfloat16_huge_pages_and_one_worker_a_core() -> None:
    hw = machine(4, "aarch64", ("asimd", "bf16"))
    _, first, *others = recipes.first(resolved(hw, WIDE), hw)
    assert first.options == {"memory_format": "channels_last", "precision": "bfloat16"}
    assert formatting.configuration(first).endswith("1x4, tcmalloc, huge_pages")
    split = [config for config in others if config.knobs["layout"] == "4x1"]
    assert [config.backend for config in split] == ["torch_eager", "onnxruntime"]
    assert len(others) == recipes.MOST - 1


def test_no_configuration_comes_twice() -> None:
    found = Domains(batch_size=(1,), knobs={}, backends={"torch_eager": {}, "onnxruntime": {}, "openvino": {}})
    configs = recipes.first(resolved(HW, found), HW)
    assert len(set(configs)) == len(configs)
    space = msgspec.structs.replace(resolved(HW, found), baseline=configs[1])
    again = recipes.first(space, HW)
    assert again[0] == configs[1]
    assert len(set(again)) == len(again)
