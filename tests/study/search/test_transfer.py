from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.errors import StudyError
from autotune.core.machine import Hardware
from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Domains, Limit, Space
from autotune.core.struct import Value
from autotune.core.workload_spec import WorkloadSpec
from autotune.space import configs
from autotune.study.search import recipes, transfer
from autotune.study.search.driver import search
from autotune.study.search.transfer import EarlierStudy, WarmStart, find
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor
from tests.study.fakes import Watcher, in_memory, machine, plain, resolved, searched

HW = machine()
OLD = machine(4, isa=("avx2",))
OTHER = msgspec.structs.replace(resolved(HW).workload, model="torchvision:resnet34")


def config(backend: str, options: dict[str, Value] | None = None, batch_size: int = 8, **knobs: Value) -> Config:
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options or {}, knobs=knobs)


INT8 = config("openvino", {"precision": "int8"}, allocator="tcmalloc")
FLOAT = config("openvino", {"precision": "float32"}, batch_size=4)
COMPILED = config("torch_compile", {"memory_format": "channels_last", "freezing": True})
LAST = config("torch_eager", {"memory_format": "channels_last"}, allocator="jemalloc", layout="2x1")
ONNX = config("onnxruntime", batch_size=16, layout="2x1")
RATES = {INT8: 60.0, FLOAT: 22.0, COMPILED: 20.0, LAST: 15.0, ONNX: 12.0}


def earlier(
    folder: Path, rates: dict[Config, float], hw: Hardware = HW, found: Space | None = None, **fields: dict[Config, Any]
) -> Path:
    """The folder of a study that measured these rates."""
    searched(folder, rates, **fields)
    (folder / "domains.json").write_bytes(store.encode(found or resolved(hw)))
    (folder / "hardware.json").write_bytes(store.encode(hw))
    store.write_elapsed(folder, 60.0)
    store.write_options(folder, store.Options())
    return folder


def on(workload: WorkloadSpec) -> Space:
    """The space for another model."""
    return msgspec.structs.replace(resolved(HW), workload=workload)


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """The folder of a study that is about to begin."""
    return tmp_path / "new"


def sources(found: WarmStart) -> dict[str, list[Config]]:
    return {source.study: list(source.configs) for source in found.sources}


# ----------------------------------------------------------------------------------------------------- what is taken


def test_the_best_that_differ_in_backend_or_options_come_best_first(tmp_path: Path, new: Path) -> None:
    slower = config("openvino", {"precision": "int8"}, batch_size=1)
    earlier(tmp_path / "old", {FLOAT: 22.0, slower: 59.0, LAST: 15.0, ONNX: 12.0, INT8: 60.0, COMPILED: 20.0})
    found = find(new, resolved(HW), HW)
    assert sources(found) == {"old": [INT8, FLOAT, COMPILED, LAST]}
    assert found.configs == (INT8, FLOAT, COMPILED, LAST)


def test_six_in_all_and_none_twice(tmp_path: Path, new: Path) -> None:
    plain_float = config("torch_eager", {"memory_format": "contiguous"})
    again = config("torch_compile", {"memory_format": "contiguous", "freezing": True})
    more = config("torch_compile", {"memory_format": "contiguous", "freezing": False})
    old = earlier(tmp_path / "old", RATES)
    older = earlier(tmp_path / "older", {INT8: 70.0, ONNX: 30.0, plain_float: 20.0, again: 15.0, more: 10.0})
    found = find(new, resolved(HW), HW, [old, older, old])
    assert sources(found) == {"old": [INT8, FLOAT, COMPILED, LAST], "older": [ONNX, plain_float]}


def test_the_plain_model_and_what_failed_or_was_given_up_are_not_taken(tmp_path: Path, new: Path) -> None:
    rates = {plain(HW): 99.0, INT8: 60.0, LAST: 30.0, FLOAT: 22.0}
    earlier(tmp_path / "old", rates, status={INT8: Status.CRASHED, LAST: Status.REJECTED})
    assert find(new, resolved(HW), HW).configs == (FLOAT,)


def test_limits_are_those_of_now(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "old", {INT8: 60.0, FLOAT: 22.0}, feasible={INT8: False})
    assert find(new, resolved(HW), HW).configs == (INT8, FLOAT)


def test_of_a_study_that_is_named_the_best_comes_whatever_others_gave(tmp_path: Path, new: Path) -> None:
    one = earlier(tmp_path / "one", {INT8: 60.0, FLOAT: 22.0, COMPILED: 20.0, LAST: 15.0})
    again = config("openvino", {"precision": "int8"}, batch_size=16)
    two = earlier(tmp_path / "two", {again: 60.0, ONNX: 30.0, config("torch_eager", {"precision": "bfloat16"}): 20.0})
    three = earlier(tmp_path / "three", {INT8: 60.0, again: 50.0})
    none = earlier(tmp_path / "none", {})
    found = sources(find(new, resolved(HW), HW, [one, two, three, none]))
    assert found["one"] == [INT8, FLOAT, COMPILED, LAST]
    assert found["two"] == [again, ONNX]
    assert found["three"] == found["none"] == []


def test_what_is_wanted_now_decides_where_the_earlier_study_has_it(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "old", {INT8: 60.0, FLOAT: 22.0}, peak_rss_bytes={INT8: 2**30, FLOAT: 2**20})
    small = msgspec.structs.replace(resolved(HW), objective="peak_rss_bytes")
    assert find(new, small, HW).configs == (FLOAT, INT8)
    limited = msgspec.structs.replace(resolved(HW), constraints=(Limit(metric="peak_rss_bytes", max=2**25),))
    assert find(new, limited, HW).configs == (FLOAT,)
    served = msgspec.structs.replace(resolved(HW), objective="served_rate")
    assert find(new, served, HW).configs == (INT8, FLOAT)


def test_it_is_fitted_into_this_space_and_machine(tmp_path: Path, new: Path) -> None:
    fast = configs.configure(
        OLD, batch_size=32, backend="onnxruntime", knobs={"layout": "4x1", "allocator": "mimalloc"}
    )
    halves = configs.configure(OLD, batch_size=3, backend="openvino", knobs={"layout": "1x4"})
    earlier(tmp_path / "old", {fast: 60.0, COMPILED: 50.0, halves: 40.0}, OLD)
    domains = Domains(
        batch_size=(1, 4, 16),
        knobs={"layout": ("1x1", "1x2", "2x1"), "allocator": ("system", "tcmalloc")},
        backends={"onnxruntime": {}, "openvino": {}},
    )
    first, second = find(new, resolved(HW, domains), HW).configs
    assert (first.backend, first.workload.batch_size, first.knobs["layout"]) == ("onnxruntime", 16, "2x1")
    assert first.knobs["allocator"] == "system"
    assert (second.backend, second.workload.batch_size, second.knobs["layout"]) == ("openvino", 4, "1x2")


@pytest.mark.parametrize(
    ("there", "here"), [("4x1", "8x1"), ("1x4", "1x8"), ("2x2", "2x4"), ("1x1", "1x2"), ("2x1", "4x1"), ("1x2", "1x4")]
)
def test_a_layout_keeps_its_share_of_the_cores_and_its_split(tmp_path: Path, new: Path, there: str, here: str) -> None:
    eight = machine(8)
    layouts = ("1x1", "1x2", "1x4", "1x8", "2x1", "2x2", "2x4", "4x1", "4x2", "8x1")
    fast = configs.configure(OLD, batch_size=8, backend="onnxruntime", knobs={"layout": there})
    earlier(tmp_path / "old", {fast: 60.0}, OLD)
    domains = Domains(batch_size=(8,), knobs={"layout": layouts}, backends={"onnxruntime": {}})
    (found,) = find(new, resolved(eight, domains), eight).configs
    assert found.knobs["layout"] == here


# ----------------------------------------------------------------------------------------------- from which studies


def test_studies_beside_it_of_the_same_work_or_machine_are_found(tmp_path: Path, new: Path) -> None:
    seeded = msgspec.structs.replace(resolved(HW).workload, seed=7)
    earlier(tmp_path / "elsewhere", {INT8: 60.0}, OLD, on(seeded))
    earlier(tmp_path / "other", {FLOAT: 60.0}, HW, on(OTHER))
    earlier(tmp_path / "foreign", {ONNX: 60.0}, OLD, on(OTHER))
    assert list(sources(find(new, resolved(HW), HW))) == ["elsewhere", "other"]


def test_the_same_work_comes_first_then_the_latest(tmp_path: Path, new: Path) -> None:
    for age, (name, config, work) in enumerate(
        [("d", LAST, OTHER), ("b", INT8, resolved(HW).workload), ("c", FLOAT, OTHER), ("a", COMPILED, OTHER)]
    ):
        file = earlier(tmp_path / name, {config: 9.0}, HW, on(work)) / "elapsed.json"
        os.utime(file, (10**9 - age, 10**9 - age))
    assert list(sources(find(new, resolved(HW), HW))) == ["b", "d", "c", "a"]


def test_a_named_one_comes_first_whatever_it_is(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "beside", {INT8: 60.0})
    foreign = earlier(tmp_path / "far" / "foreign", {ONNX: 60.0, INT8: 50.0}, OLD, on(OTHER))
    found = find(new, resolved(HW), HW, [foreign])
    assert [(name, [one.backend for one in configs]) for name, configs in sources(found).items()] == [
        ("foreign", ["onnxruntime", "openvino"])
    ]


def test_a_named_one_that_has_nothing_for_this_space_is_said(tmp_path: Path, new: Path) -> None:
    old = earlier(tmp_path / "far" / "old", {INT8: 60.0})
    domains = Domains(batch_size=(1,), knobs={}, backends={"onnxruntime": {}})
    assert find(new, resolved(HW, domains), HW, [old]) == WarmStart(sources=(EarlierStudy(study="old", configs=()),))


def spoil(folder: Path, how: str) -> None:
    result = folder / "trials" / "00000" / "result.json"
    if how == "newer":
        (folder / "domains.json").write_text('{"format": 99}')
    elif how == "damaged":
        result.write_text("{")
    elif how == "no machine":
        (folder / "hardware.json").unlink()
    elif how == "unknown backend":
        result.write_text(result.read_text().replace('"openvino"', '"tensorrt"'))
    elif how == "unknown option":
        result.write_text(result.read_text().replace('"int8"', '"int2"'))
    elif how == "no time":
        result.write_text(result.read_text().replace('"elapsed_ns": 1000000000', '"elapsed_ns": 0'))
    elif how == "no layout":
        result.write_text(result.read_text().replace('"layout": "1x2"', '"layout": "wide"'))
    else:
        (folder / "domains.json").unlink()
        (folder / "domains.json").mkdir()


SPOILT = ["newer", "damaged", "no machine", "unknown backend", "unknown option", "no time", "no layout", "folder"]


@pytest.mark.parametrize("how", SPOILT)
def test_one_that_cannot_be_read_is_passed_over_unless_it_is_named(tmp_path: Path, new: Path, how: str) -> None:
    old = earlier(tmp_path / "old", {INT8: 60.0})
    spoil(old, how)
    earlier(tmp_path / "good", {ONNX: 60.0})
    assert list(sources(find(new, resolved(HW), HW))) == ["good"]
    with pytest.raises(StudyError, match=r"^--from .*/old: .*; leave it out$"):
        find(new, resolved(HW), HW, [old])


def test_other_folders_and_a_study_without_trials_are_nothing(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "empty", {})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "options.json").write_text("[]")
    (tmp_path / "notes" / "elapsed.json").write_text("[]")
    (tmp_path / "file").touch()
    assert find(new, resolved(HW), HW) == WarmStart()
    assert find(tmp_path / "nowhere" / "new", resolved(HW), HW) == WarmStart()


def test_a_study_that_was_not_run_here_counts_where_it_is_named(tmp_path: Path, new: Path) -> None:
    example = earlier(tmp_path / "example", {INT8: 60.0})
    (example / "options.json").unlink()
    assert find(new, resolved(HW), HW) == WarmStart()
    assert find(new, resolved(HW), HW, [example]).configs == (INT8,)


# ------------------------------------------------------------------------------------------------------ in the search


def test_they_are_tried_after_the_baseline_and_before_the_recipes(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "old", {LAST: 60.0, ONNX: 50.0})
    resolved_ = resolved(HW, trials=9)
    advised = list(recipes.first(resolved_, HW))
    found = find(new, resolved_, HW)
    ran = FakeExecutor(new)
    search(in_memory(new, resolved_, HW), ran, Watcher(), MeasureRules(), earlier=found.configs)
    assert ran.configs[:3] == [advised[0], LAST, ONNX]
    assert ran.configs[3 : 2 + len(advised)] == advised[1:]
    assert len(set(ran.configs)) == 9


def test_a_study_that_goes_on_keeps_what_it_began_with(tmp_path: Path, new: Path) -> None:
    old = earlier(tmp_path / "old", {INT8: 60.0})
    found = find(new, resolved(HW), HW)
    earlier(new, {plain(HW): 1.0})
    transfer.write(new, found)
    later = earlier(tmp_path / "later", {ONNX: 60.0})
    assert find(new, resolved(HW), HW) == find(new, resolved(HW), HW, [old]) == found
    with pytest.raises(
        StudyError, match=r"began without --from later \(it has: old\); leave that out, or choose anoth"
    ):
        find(new, resolved(HW), HW, [later])


def test_a_study_that_began_with_nothing_goes_on_with_nothing(tmp_path: Path, new: Path) -> None:
    earlier(new, {plain(HW): 1.0})
    transfer.write(new, WarmStart())
    earlier(tmp_path / "later", {ONNX: 60.0})
    assert find(new, resolved(HW), HW) == WarmStart()


def test_a_plan_of_which_no_trial_was_begun_is_replaced(tmp_path: Path, new: Path) -> None:
    earlier(tmp_path / "old", {INT8: 60.0})
    new.mkdir(exist_ok=True)
    transfer.write(new, find(new, resolved(HW), HW))
    transfer.write(new, WarmStart())
    earlier(new, {plain(HW): 1.0})
    assert find(new, resolved(HW), HW) == WarmStart()


def test_a_damaged_plan_says_what_to_do(new: Path) -> None:
    earlier(new, {plain(HW): 1.0})
    (new / transfer.FILE).write_text("{")
    with pytest.raises(
        StudyError, match=r"earlier\.json is damaged: .*; delete it, and nothing of earlier studies is t"
    ):
        find(new, resolved(HW), HW)
