from __future__ import annotations

import hashlib
import time
from pathlib import Path

from autotune.models import digests
from autotune.models.digests import FileEntry


def test_every_file_but_one_has_its_size_and_digest(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.bin").write_bytes(b"weights")
    (tmp_path / "list.json").write_text("{}")
    found = digests.of_folder(tmp_path, "list.json")
    assert found == {"deep/model.bin": FileEntry(bytes=7, sha256=hashlib.sha256(b"weights").hexdigest())}


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"one")
    before = digests.of_folder(tmp_path, "")
    time.sleep(0.02)  # times of files may be no finer than 10 ms
    (tmp_path / "model.bin").write_bytes(b"two")
    assert digests.of_folder(tmp_path, "") != before
