"""Files of samples that tests of their reading and splitting write."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

FUNCTION = """
import numpy as np

calls = []

def images():
    return np.arange(20.0)[:, None], np.arange(20)

def pairs():
    return (np.arange(20), np.arange(20) * 2), list(range(20))

def by_name():
    return {"mask": np.ones(20), "ids": np.arange(20)}

def labelled_by_name():
    return by_name(), np.arange(20)

def alone():
    return np.arange(20.0)[:, None]

def nothing():
    return {}

def other_each_time():
    calls.append(None)
    return np.arange(20.0)[:, None] + len(calls)

def three():
    return 1, 2, 3

def ragged():
    return ([[1, 2], [3]],), [0, 1]

def words():
    return np.array(["a", None], object), np.arange(2)

def text_labels():
    return np.arange(20.0)[:, None], ["cat", "dog"] * 10

def unequal():
    return np.arange(20.0), np.arange(19.0)

def raises():
    raise RuntimeError("no such folder\\nof images")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    np.savez(tmp_path / "digits.npz", images=np.arange(100.0)[:, None], labels=np.arange(100), mask=np.arange(100) % 2)
    (tmp_path / "rows_of_a_test.py").write_text(FUNCTION)
    yield tmp_path
    sys.modules.pop("rows_of_a_test", None)  # each test has a file of its own by this name
