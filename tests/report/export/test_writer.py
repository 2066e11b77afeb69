from __future__ import annotations

import os
from pathlib import Path

import pytest

from autotune.report.export import writer
from tests.apply.made import best


def test_writing_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.json"
    writer.write(path, best())
    before = path.read_bytes()

    def interrupt(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.write(path, best(trial=1))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["best.json"]
