from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.apply import best_file, loaded_model
from autotune.apply.loaded_model import LoadedModel
from autotune.core.config import WorkloadSettings
from autotune.core.errors import ModelError
from autotune.core.interfaces import Port
from autotune.core.workload_spec import InputSpec
from tests.apply import tiny
from tests.apply.tiny import IMAGES


class Echo:
    """A session whose outputs are what it was called with; batches of five are too many for it."""

    closed = False

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        return list(arrays)

    def __call__(self, batch: Any) -> Any:
        if len(batch[0]) == 5:
            raise RuntimeError("Got invalid dimensions\nfor input")
        return batch

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        return tuple(result)

    def close(self) -> None:
        self.closed = True


PAIR = (InputSpec(shape=("batch", 2)), InputSpec(shape=("batch", 1)))
LEFT, RIGHT = np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((3, 1), np.float32)


def model(
    folder: Path,
    *outputs: str,
    inputs: tuple[InputSpec, ...] = PAIR,
    names: Any = None,
    session: Echo | None = None,
) -> LoadedModel:
    found = best_file.read(tiny.best(folder, inputs=inputs, outputs=outputs))
    return LoadedModel(found, session or Echo(), names)


def same(got: Any, *wanted: np.ndarray[Any, Any]) -> bool:
    return isinstance(got, tuple) and all(np.array_equal(a, b) for a, b in zip(got, wanted, strict=True))


def test_inputs_come_in_their_order_or_by_their_names(tmp_path: Path) -> None:
    found = model(tmp_path, "0", "1", names=("left", "right"))
    assert same(found(LEFT, RIGHT), LEFT, RIGHT)
    assert same(found((LEFT, RIGHT)), LEFT, RIGHT)
    assert same(found([LEFT, RIGHT]), LEFT, RIGHT)
    assert same(found({"right": RIGHT, "left": LEFT}), LEFT, RIGHT)
    assert found.input_names == ("left", "right")


def test_outputs_are_what_the_model_calls_them(tmp_path: Path) -> None:
    named = model(tmp_path, "logits", "hidden.0")(LEFT, RIGHT)
    assert list(named) == ["logits", "hidden.0"] and np.array_equal(named["hidden.0"], RIGHT)
    assert np.array_equal(model(tmp_path, "output", inputs=PAIR[:1])(LEFT), LEFT)
    assert same(model(tmp_path, "0", inputs=PAIR[:1])(LEFT), LEFT)


def test_outputs_that_were_not_compared_have_their_names_too(tmp_path: Path) -> None:
    class Named(Echo):
        def __call__(self, batch: Any) -> Any:
            return {"logits": batch[0], "loss": np.float32(0.5).reshape(())}

        def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
            return tuple(result.values())

    found = model(tmp_path, "logits", inputs=PAIR[:1], session=Named())(LEFT)
    assert list(found) == ["logits", "loss"] and np.array_equal(found["logits"], LEFT)


def test_outputs_without_known_names_are_alone_or_a_tuple(tmp_path: Path) -> None:
    found = model(tmp_path, "0", "1")
    found.best = msgspec.structs.replace(found.best, fidelity=None)
    assert same(found(LEFT, RIGHT), LEFT, RIGHT)
    lone = model(tmp_path, "output", inputs=PAIR[:1])
    lone.best = msgspec.structs.replace(lone.best, fidelity=None)
    assert np.array_equal(lone(LEFT), LEFT)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((LEFT,), "the batch has 1 inputs; the model was measured with 2"),
        (({"left": LEFT, "rigth": RIGHT},), "no input 'rigth'; did you mean 'right'?"),
        (({"right": RIGHT},), "the batch has no 'left'; the model's inputs are left, right"),
        ((LEFT, RIGHT[:2]), "the inputs have 3, 2 rows"),
        ((np.float32(1), RIGHT), "input 0 is a single number; give it rows: the first dimension is the batch"),
        (({},), "the batch has 0 inputs"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(tmp_path: Path, batch: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        model(tmp_path, "0", "1", names=("left", "right"))(*batch)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_the_model_fails_on_is_said_in_one_line(tmp_path: Path) -> None:
    found = model(tmp_path, "output", inputs=PAIR[:1])
    words = "RuntimeError: Got invalid dimensions for input"
    with pytest.raises(ModelError, match=rf"did not take a batch of 5: {words}; .*batches of 2"):
        found(np.ones((5, 2), np.float32))
    with pytest.raises(
        ModelError, match=rf"^input 0 has size 3 in dimension 1; the model was measured with 2, .*{words}"
    ):
        found(np.ones((5, 3), np.float32))
    five = msgspec.structs.replace(found.best.config, workload=WorkloadSettings(batch_size=5))
    found.best = msgspec.structs.replace(found.best, config=five)
    with pytest.raises(ModelError, match=f"^the model fails on this batch: {words}$"):
        found(np.ones((5, 2), np.float32))


def test_a_model_without_a_prepared_size_takes_what_its_code_takes(tmp_path: Path) -> None:
    wide = np.ones((3, 7), np.float64)
    assert np.array_equal(model(tmp_path, "output", inputs=PAIR[:1])(wide), wide)


class Prepared(Echo):
    """An Echo that was prepared for batches of any number of pairs of float32."""

    def inputs(self) -> tuple[Port, ...]:
        return (Port("left", "float32", (None, 2)),)


def test_what_it_was_prepared_for_is_checked_before_the_runtime_sees_it(tmp_path: Path) -> None:
    found = model(tmp_path, "output", inputs=(), session=Prepared())
    assert found(np.ones((3, 2), np.float16)).dtype == np.float32
    for batch, message in (
        ((np.ones((3, 4), np.float32),), "input 0 has size 4 in dimension 1; the model was prepared for 2: "),
        ((LEFT.astype(np.float64),), "input 0 is float64; the model was prepared for float32: convert it"),
        ((LEFT, RIGHT), "the batch has 2 inputs; the model was prepared for 1"),
    ):
        with pytest.raises(ModelError, match=f"^{message}"):
            found(*batch)


def test_a_graph_of_a_file_with_one_output_returns_it_alone(tmp_path: Path) -> None:
    found = model(tmp_path, "probabilities", inputs=PAIR[:1])
    assert list(found(LEFT)) == ["probabilities"]  # a module that returns a dict of one
    onnx = msgspec.structs.replace(found.best.workload, model="onnx:model.onnx")
    for names in (("probabilities",), ("0",)):
        found = model(tmp_path, *names, inputs=PAIR[:1])
        found.best = msgspec.structs.replace(found.best, workload=onnx)
        assert np.array_equal(found(LEFT), LEFT)
    several = model(tmp_path, "boxes", "scores")
    several.best = msgspec.structs.replace(several.best, workload=msgspec.structs.replace(onnx, inputs=PAIR))
    assert list(several(LEFT, RIGHT)) == ["boxes", "scores"]


# ----------------------------------------------------------------------------------------------------------- threads


class Shared(Echo):
    """A session with one buffer for all answers, as a module of the user's may have; it takes its time."""

    buffer = np.zeros(1)

    def __call__(self, batch: Any) -> Any:
        self.buffer[:] = batch[0][0, 0]
        time.sleep(0.0005)
        return (self.buffer,)


def test_no_thread_gets_anothers_answer(tmp_path: Path) -> None:
    found = model(tmp_path, "output", inputs=PAIR[:1], session=Shared())
    batches = [np.full((1, 2), float(number)) for number in range(100)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(found, batches))
    assert [answer.item() for answer in answers] == list(range(100))  # also after all other calls


def test_a_runtime_that_allows_it_is_called_by_several_threads_at_once(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=20)

    class Parallel(Echo):
        concurrent = True

        def __call__(self, batch: Any) -> Any:
            together.wait()
            return batch

    found = model(tmp_path, "output", inputs=PAIR[:1], session=Parallel())
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(answer, LEFT) for answer in pool.map(found, [LEFT] * 4))


def test_a_closed_model_says_so(tmp_path: Path) -> None:
    with model(tmp_path, "output", inputs=PAIR[:1]) as found:
        pass
    found.close()
    with pytest.raises(ModelError, match="the model is closed"):
        found(LEFT)


def test_the_runtime_is_released_at_the_end(tmp_path: Path) -> None:
    with model(tmp_path, "output", inputs=IMAGES) as found:
        session: Any = found._session
        assert not session.closed
    assert session.closed


def test_an_error_is_one_short_line() -> None:
    assert loaded_model.one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert loaded_model.one_line(ValueError()) == "ValueError"
    assert len(loaded_model.one_line(ValueError("x" * 1000))) < 320
