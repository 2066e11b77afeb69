from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autotune.worker import first_calls
from autotune.worker.reference import Reference


class Session:
    """A session that counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        return arrays


class Echo(Session):
    """Returns its batch, and twice that."""

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        return batch

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        rows = result[0] if isinstance(result, tuple) else result
        return (rows, rows * 2)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_outputs_of_all_batches_are_there(sizes: list[int]) -> None:
    assume(sum(sizes) < 60)
    edges = list(itertools.accumulate(sizes, initial=0))
    batches = [np.arange(*edge) for edge in itertools.pairwise(edges)]
    results, first_call_s = first_calls.call_all(Echo(), batches[0], batches[1:], 60)
    for (same, double), rows in zip(results, batches, strict=True):
        np.testing.assert_array_equal(same, rows)
        np.testing.assert_array_equal(double, 2 * rows)
    assert first_call_s >= 0


@pytest.mark.parametrize(
    ("first_s", "others_s", "allowed_s", "compiling", "done"),
    [
        (1, 1, 0, False, 1),
        (1, 1, 0.5, False, 1),
        (1, 1, 1.5, False, 2),
        (1, 1, 2, False, 3),
        (1, 0.1, 60, False, 6),
        (60, 0.1, 0.8, False, 1),
        (60, 0.1, 0.35, True, 4),
        (60, 0.1, 0.8, True, 6),
        (60, 5, 0.8, True, 2),
    ],
)
def test_after_the_first_call_checking_takes_no_longer_than_allowed(
    monkeypatch: pytest.MonkeyPatch, first_s: float, others_s: float, allowed_s: float, compiling: bool, done: int
) -> None:
    now_ns = 0

    class Slow(Echo):
        compiles = compiling

        def __call__(self, batch: Any) -> Any:
            nonlocal now_ns
            now_ns += int((others_s if self.calls else first_s) * 1e9)
            return super().__call__(batch)

    monkeypatch.setattr(first_calls, "clock", lambda: now_ns)
    batches = [np.full(2, index) for index in range(6)]
    results, first_call_s = first_calls.call_all(Slow(), batches[0], batches[1:], allowed_s)
    assert ([int(same[0]) for same, _ in results], first_call_s) == (list(range(done)), first_s)


def drawn(count: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Rows that are the same for every number of them."""
    return (np.random.default_rng(0).standard_normal((count, 3)),)


REFERENCE = Reference((drawn(8)[0], drawn(8)[0] * 2), ("same", "double"))


@pytest.mark.parametrize("size", [1, 3, 8, 12, 16, 40])
def test_right_outputs_of_every_batch_size_are_close(size: int) -> None:
    batch, fidelity, _ = first_calls.check_outputs(Echo(), drawn, (0,), size, REFERENCE, True, 60)
    assert fidelity.max_abs_error == 0
    assert fidelity.samples >= min(16, size)
    assert batch[0].shape == (size, 3)
    if size <= 8:
        np.testing.assert_array_equal(batch[0], drawn(size)[0])


@pytest.mark.parametrize(
    ("size", "row"), [(1, 0), (3, 2), (8, 7), *((16, row) for row in range(16)), (40, 39), (40, 32)]
)
def test_garbage_in_a_row_of_the_batch_is_found(size: int, row: int) -> None:
    class Garbage(Echo):
        def __call__(self, batch: Any) -> Any:
            (array,) = batch
            result = array.copy()
            result[row] = 100
            return result

    _, fidelity, _ = first_calls.check_outputs(Garbage(), drawn, (0,), size, REFERENCE, True, 60)
    assert fidelity.max_abs_error > 90
    assert fidelity.centred_error is not None and fidelity.centred_error > 100
