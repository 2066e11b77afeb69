from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound

from autotune.report.dashboard.artifact_files import ArtifactFiles


def test_a_file_is_read_under_a_name_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("{}")
    files = ArtifactFiles()
    first = files.add(path)
    assert files.add(path) == first != ArtifactFiles().add(path)
    with files.open_reader(first) as file:
        assert file.read() == b"{}"
    key, value = files.attribute(first)
    assert key == f"artifacts:{first}"
    assert json.loads(value) == {
        "artifact_id": first,
        "filename": "result.json",
        "mimetype": "application/json",
        "encoding": None,
    }


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    files = ArtifactFiles()
    gone = files.add(tmp_path / "stderr.log")
    for name in (gone, "../../etc/passwd", str(tmp_path)):
        with pytest.raises(ArtifactNotFound):
            files.open_reader(name)


def test_files_are_only_shown(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("{}")
    files = ArtifactFiles()
    name = files.add(path)
    with pytest.raises(PermissionError):
        files.remove(name)
    with pytest.raises(PermissionError):
        files.write(name, io.BytesIO(b"x"))
    assert path.read_text() == "{}"
