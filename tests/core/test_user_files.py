from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from autotune.core import user_files
from autotune.core.errors import ModelError


def test_a_file_is_found_beside_the_folder_and_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model").write_bytes(b"x")
    assert user_files.absolute("sub/../sub/model", tmp_path) == str(tmp_path / "sub" / "model")
    for name in ("other", "sub"):
        with pytest.raises(ModelError, match=f"there is no file '{name}'; looked for in {tmp_path}"):
            user_files.absolute(name, tmp_path)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"one" * 500_000)
    assert user_files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"two!")
    assert user_files.sha256(path) == hashlib.sha256(b"two!").hexdigest()
    with pytest.raises(ModelError, match=r"the weights .*nothing cannot be read: No such file or directory"):
        user_files.sha256(tmp_path / "nothing", "the weights")
