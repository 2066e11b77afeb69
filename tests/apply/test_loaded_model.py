from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.apply import loaded_model
from autotune.apply.loaded_model import LoadedModel
from autotune.core.config import WorkloadSettings
from autotune.core.errors import ModelError
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


def model(folder: Path, *outputs: str, inputs: tuple[InputSpec, ...] = PAIR, names: Any = None) -> LoadedModel:
    from autotune.apply import best_file

    found = best_file.read(tiny.best(folder, inputs=inputs, outputs=outputs))
    return LoadedModel(found, Echo(), names)


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
        ((np.float32(1), RIGHT), "an input is a single number"),
        (({},), "the batch has 0 inputs"),
    ],
)
def test_a_batch_that_does_not_fit_is_named(tmp_path: Path, batch: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        model(tmp_path, "0", "1", names=("left", "right"))(*batch)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_another_batch_size_than_was_measured_is_said_where_it_fails(tmp_path: Path) -> None:
    found = model(tmp_path, "output", inputs=PAIR[:1])
    with pytest.raises(ModelError, match=r"of 5: RuntimeError: Got invalid dimensions for input; .*batches of 2"):
        found(np.ones((5, 2), np.float32))
    five = msgspec.structs.replace(found.best.config, workload=WorkloadSettings(batch_size=5))
    found.best = msgspec.structs.replace(found.best, config=five)
    with pytest.raises(RuntimeError, match="Got invalid"):  # the runtime's own words
        found(np.ones((5, 2), np.float32))


def test_the_runtime_is_released_at_the_end(tmp_path: Path) -> None:
    with model(tmp_path, "output", inputs=IMAGES) as found:
        session: Any = found._session
        assert not session.closed
    assert session.closed


def test_an_error_is_one_short_line() -> None:
    assert loaded_model.one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert loaded_model.one_line(ValueError()) == "ValueError"
    assert len(loaded_model.one_line(ValueError("x" * 1000))) < 320
