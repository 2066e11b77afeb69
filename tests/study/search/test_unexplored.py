from __future__ import annotations

import msgspec

from autotune.core.config import Config
from autotune.core.space_types import Domains
from autotune.space import configs
from autotune.study.search import unexplored
from tests.study.fakes import plain, resolved
from tests.study.search.searching import HW

DOMAINS = Domains(
    batch_size=(1, 8),
    knobs={"allocator": ("system", "tcmalloc")},
    backends={
        "torch_eager": {"precision": ("float32",)},
        "onnxruntime": {"precision": ("float32", "int8")},
        "openvino": {"precision": ("float32", "int8")},
        "ipex": {"precision": ("float32",)},
    },
)
SPACE = resolved(HW, DOMAINS)


def config(backend: str, precision: str, allocator: str = "system", size: int = 8) -> Config:
    knobs = {"allocator": allocator}
    return configs.configure(HW, batch_size=size, backend=backend, options={"precision": precision}, knobs=knobs)


def first(
    *tried: Config, able: tuple[Config, ...] | None = None, known: tuple[Config, ...] = ()
) -> tuple[str, object] | None:
    like = tried[-1] if tried else plain(HW)
    able = tried if able is None else able
    found = unexplored.first(SPACE, HW, tried, able, {one.key for one in (*tried, *known)}, like)
    return None if found is None else (found.backend, found.options["precision"])


def test_a_backend_and_then_a_precision_without_a_trial_is_found_until_there_is_none() -> None:
    """ipex is not installed on this machine, and a precision is looked at with one backend only."""
    tried = [config("torch_eager", "float32")]
    assert first(*tried) == ("onnxruntime", "float32")
    tried.append(config("onnxruntime", "float32"))
    assert first(*tried) == ("onnxruntime", "int8")
    tried.append(config("onnxruntime", "int8"))
    assert first(*tried) == ("openvino", "float32")
    tried.append(config("openvino", "int8"))
    assert first(*tried) is None


def test_of_a_backend_that_only_failed_or_broke_limits_the_other_precisions_come_too() -> None:
    """A real model's int8 answered wrongly with two backends, and neither's float32 was ever tried."""
    eager = config("torch_eager", "float32")
    wrong = config("onnxruntime", "int8"), config("openvino", "int8")
    assert first(eager, *wrong, able=(eager,)) == ("onnxruntime", "float32")
    also = config("onnxruntime", "float32")
    assert first(eager, *wrong, also, able=(eager, also)) == ("openvino", "float32")
    assert first(eager, *wrong, also, config("openvino", "float32"), able=(eager, also)) is None


def test_all_else_is_like_the_given_configuration() -> None:
    best = config("torch_eager", "float32", "tcmalloc")
    found = unexplored.first(SPACE, HW, [best], [best], {best.key}, best)
    assert found is not None and (found.backend, found.workload.batch_size) == ("onnxruntime", 8)
    assert (found.knobs["allocator"], found.options["precision"]) == ("tcmalloc", "float32")


def test_what_is_known_not_to_run_is_passed_over() -> None:
    tried = config("torch_eager", "float32")
    assert first(tried, known=(config("onnxruntime", "float32"),)) == ("onnxruntime", "int8")


def test_a_backend_without_precisions_counts_once() -> None:
    bare = msgspec.structs.replace(SPACE, domains=Domains(batch_size=(1,), knobs={}, backends={"onnxruntime": {}}))
    base = plain(HW)
    found = unexplored.first(bare, HW, [base], [base], {base.key}, base)
    assert found is not None and found.backend == "onnxruntime"
    assert unexplored.first(bare, HW, [base, found], [base, found], {base.key, found.key}, base) is None
