from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.core.errors import ModelError, PluginError
from autotune.core.workload_spec import DataSpec, Dtype, InputSpec, ServingSpec, WorkloadSpec
from autotune.models import workload


def test_the_values_of_named_variables_belong_to_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = msgspec.structs.replace(spec(weights=None), env=("MODEL_DIR",))
    keys = set()
    for value in ("/models", "/others", ""):
        monkeypatch.setenv("MODEL_DIR", value)
        keys.add(workload.cache_key(asked))
        assert value not in ("", *map(str, workload.cache_key(asked)))[1:]
    monkeypatch.delenv("MODEL_DIR")
    keys.add(workload.cache_key(asked))
    assert len(keys) == 4
    assert workload.identity(asked) != workload.identity(spec(weights=None))


def spec(*given: InputSpec, seed: int = 0, **options: str) -> WorkloadSpec:
    return WorkloadSpec(model="torchvision:resnet18", inputs=given, seed=seed, options=options)


def test_two_inputs_of_one_kind_differ() -> None:
    one = InputSpec(shape=("batch", 8))
    first, second = workload.BuiltWorkload(spec(one, one)).arrays(4)
    assert first.shape == second.shape == (4, 8)
    assert not np.array_equal(first, second)


def test_numbers_are_bound_to_a_module_and_given_to_a_file() -> None:
    given = (InputSpec(shape=("batch", 8)), InputSpec(value=16000, dtype="int64"), InputSpec(value=[1.0, 2.0]))
    module = workload.BuiltWorkload(spec(*given))
    assert (module.described, module.batch_axes) == ((given[0], given[2]), (0, None))
    file = workload.BuiltWorkload(msgspec.structs.replace(module.spec, model="onnx:model.onnx"))
    assert (file.described, file.batch_axes) == (given, (0, None, None))
    assert [array.shape for array in file.arrays(3)] == [(3, 8), (), (2,)]


def test_the_batch_may_stand_anywhere(tmp_path: Path) -> None:
    model = workload.BuiltWorkload(spec(InputSpec(shape=("batch", 4)), InputSpec(shape=(2, "batch", 3))))
    assert model.batch_axes == (0, 1)
    workload.save_rows(tmp_path / "rows.npz", (*model.arrays(5), np.float32(2)[()]), (0, 1, None))
    stored = workload.BuiltWorkload(WorkloadSpec(model="python:a.py:b", inputs=()), tmp_path / "rows.npz")
    assert stored.batch_axes == (0, 1, None)
    for mine, other in zip(stored.arrays(5), model.arrays(5), strict=False):
        np.testing.assert_array_equal(mine, other)
    assert [array.shape for array in stored.arrays(7)] == [(7, 4), (2, 7, 3), ()]
    np.testing.assert_array_equal(stored.arrays(7)[1][:, 5:], stored.arrays(2)[1])


def test_options_become_the_providers_own() -> None:
    assert workload.options(spec(weights="w.pt")).weights == "w.pt"
    assert workload.options(spec()).weights is None


def test_an_option_that_is_not_known_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="wieghts"):
        workload.options(spec(wieghts="w.pt"))


def test_a_provider_that_is_not_known_is_named() -> None:
    with pytest.raises(PluginError, match="unknown workload 'torchvison'; did you mean 'torchvision'"):
        workload.provider(WorkloadSpec(model="torchvison:resnet18", inputs=()))


def test_random_weights_are_not_judged() -> None:
    assert not workload.judged(spec())
    assert workload.judged(spec(weights="w.pt"))


def test_the_key_holds_all_that_the_outputs_depend_on() -> None:
    one = InputSpec(shape=("batch", 8))
    keys = [
        workload.cache_key(spec(one)),
        workload.cache_key(spec(one, seed=1)),
        workload.cache_key(spec(one, one)),
        workload.cache_key(WorkloadSpec(model="torchvision:resnet50", inputs=(one,))),
    ]
    assert len({msgspec.json.encode(key) for key in keys}) == len(keys)
    assert workload.cache_key(spec(one)) == keys[0]


# ----------------------------------------------------------------------------------------------------- labelled data


def labelled(folder: Path, rows: int = 40, **changes: Any) -> WorkloadSpec:
    """A workload of so many numbered rows, without inputs."""
    path = folder / "rows.npz"
    np.savez(path, images=np.arange(rows, dtype=np.float32)[:, None], labels=np.arange(rows))
    settled: dict[str, Any] = {"samples": 20, "calibration": 4} | changes
    return WorkloadSpec(model="torchvision:resnet18", inputs=(), data=DataSpec(source=str(path), **settled))


def test_the_samples_to_judge_are_the_inputs(tmp_path: Path) -> None:
    model = workload.BuiltWorkload(labelled(tmp_path))
    (rows,) = model.arrays(25)
    np.testing.assert_array_equal(rows[:20, 0], model.samples.labels)
    np.testing.assert_array_equal(rows[20:], rows[:5])
    np.testing.assert_array_equal(model.arrays(3)[0], rows[:3])


def test_the_measured_child_has_the_rows_that_were_stored(tmp_path: Path) -> None:
    spec = labelled(tmp_path)
    (stored,) = workload.BuiltWorkload(spec).arrays(8)
    workload.save_rows(tmp_path / "examples.npz", (stored,), (0,))
    Path(spec.data.source).unlink()
    (rows,) = workload.BuiltWorkload(spec, tmp_path / "examples.npz").arrays(10)
    np.testing.assert_array_equal(rows, np.concatenate([stored, stored[:2]]))


@pytest.mark.parametrize(("apart", "least", "count"), [(10, 4, 10), (4, 4, 4), (4, 10, 10), (30, 5, 10)])
def test_calibration_has_the_rows_apart_for_it(tmp_path: Path, apart: int, least: int, count: int) -> None:
    model = workload.BuiltWorkload(labelled(tmp_path, calibration=apart))
    (rows,) = model.calibration(least)
    assert len(rows) == count
    assert len(np.unique(rows)) == min(apart, 10)  # a quarter of all
    assert not set(rows[:, 0]) & set(model.samples.labels)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_made_up_inputs_to_calibrate_on_are_others_than_those_to_judge(dtype: Dtype) -> None:
    model = workload.BuiltWorkload(spec(InputSpec(shape=("batch", 8), dtype=dtype, high=1000)))
    (judged,), (apart,) = model.arrays(64), model.calibration(64)
    assert judged.shape == apart.shape and judged.dtype == apart.dtype
    assert not {row.tobytes() for row in judged} & {row.tobytes() for row in apart}
    assert model.real(8) is None


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], workload.BuiltWorkload]:
    """A workload that comes with so many numbered rows."""

    def made(rows: int) -> workload.BuiltWorkload:
        provider = workload.provider(OWN)
        monkeypatch.setattr(provider, "examples", lambda *_: (np.arange(rows)[:, None],))
        return workload.BuiltWorkload(OWN)

    return made


OWN = WorkloadSpec(model="python:net.py:build", inputs=())


def test_examples_of_the_users_own_are_split(examples: Callable[[int], workload.BuiltWorkload]) -> None:
    model = examples(20)
    judged, apart = set(model.arrays(100)[0][:, 0].tolist()), set(model.calibration(100)[0][:, 0].tolist())
    assert (len(judged), len(apart)) == (12, 8) and not judged & apart
    real = model.real(8)
    assert real is not None and real.different == 20


def test_few_examples_stay_in_their_order(examples: Callable[[int], workload.BuiltWorkload]) -> None:
    model = examples(3)
    assert model.arrays(5)[0][:, 0].tolist() == model.calibration(5)[0][:, 0].tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(
    ("model", "made_up"), [("python:a.py:b", False), ("exported:a.pt2", False), ("onnx:a.onnx", True), ("timm:a", True)]
)
def test_only_some_sources_have_examples_of_the_users_own(model: str, made_up: bool) -> None:
    one = WorkloadSpec(model=model, inputs=())
    assert workload.generated(one) is made_up
    assert workload.generated(msgspec.structs.replace(one, inputs=(InputSpec(shape=("batch",)),)))
    assert not workload.generated(msgspec.structs.replace(one, data=DataSpec(source="rows.npz", metric=None)))


def test_real_rows_go_beside_what_is_described(tmp_path: Path) -> None:
    np.savez(tmp_path / "sound.npz", sound=np.arange(40.0)[None, :, None].repeat(2, 0))
    described = (
        InputSpec(shape=("batch", 3), state="0"),
        InputSpec(shape=(2, "batch", 1)),
        InputSpec(value=[16, 8], dtype="int64"),
    )
    source = DataSpec(source=str(tmp_path / "sound.npz"), metric=None)
    model = workload.BuiltWorkload(WorkloadSpec(model="onnx:x.onnx", inputs=described, data=source))
    model._model_names = dict  # type: ignore[method-assign]  # there is no such file
    state, sound, rate = model.arrays(5)
    assert (state.shape, sound.shape, sound.dtype, rate.tolist()) == ((5, 3), (2, 5, 1), np.float32, [16, 8])
    apart = model.calibration(64)[1]
    assert apart.shape == (2, 64, 1) and not {*apart.ravel()} & {*model.arrays(100)[1].ravel()}
    assert not workload.generated(model.spec)
    state, sound, rate = model.judged([1, 0])
    assert (state.shape, rate.tolist()) == ((2, 3), [16, 8])
    np.testing.assert_array_equal(sound, model.arrays(2)[1][:, ::-1])
    workload.save_rows(tmp_path / "examples.npz", model.arrays(8), model.batch_axes)
    stored = workload.BuiltWorkload(model.spec, tmp_path / "examples.npz").arrays(10)
    np.testing.assert_array_equal(stored[1], np.concatenate([model.arrays(8)[1], model.arrays(2)[1]], 1))


def test_a_function_that_gives_other_rows_at_its_second_call_is_said(tmp_path: Path) -> None:
    path = tmp_path / "rows_at_each_call.py"
    path.write_text("calls = []\ndef rows():\n    calls.append(0)\n    return [[i, len(calls)] for i in range(9)], \n")
    source = DataSpec(source=f"{path}:rows", metric=None)
    model = workload.BuiltWorkload(WorkloadSpec(model="onnx:x.onnx", inputs=(), data=source))
    with pytest.raises(ModelError, match=r"rows_at_each_call.py:rows gives other rows at its second call; let it give"):
        model.check_steady()


def test_the_key_holds_what_changes_the_rows_and_nothing_else(tmp_path: Path) -> None:
    def key(**changes: Any) -> bytes:
        return msgspec.json.encode(workload.cache_key(msgspec.structs.replace(labelled(tmp_path), **changes)))

    one = labelled(tmp_path)
    plain = key()
    assert key(data=msgspec.structs.replace(one.data, metric="f1")) == plain
    assert key(serving=ServingSpec(latency_ms=5)) == plain
    assert key(allow=("generated_calibration",)) == plain
    others = [key(data=msgspec.structs.replace(one.data, samples=5)), key(data=None), key(seed=1)]
    others.append(key(data=msgspec.structs.replace(one.data, calibration=5)))
    moved = tmp_path / "moved.npz"
    moved.write_bytes((tmp_path / "rows.npz").read_bytes())
    assert key(data=msgspec.structs.replace(one.data, source=str(moved))) == plain
    np.savez(moved, images=np.ones((40, 1)), labels=np.arange(40))
    others.append(key(data=msgspec.structs.replace(one.data, source=str(moved))))
    assert len({plain, *others}) == 6
