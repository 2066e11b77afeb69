from __future__ import annotations

from pathlib import Path

import pytest

from tests.place import Place


@pytest.fixture
def place(tmp_path: Path, shared: Path) -> Place:
    return Place(tmp_path, shared / "cache")
