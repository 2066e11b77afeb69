from __future__ import annotations

import errno
from pathlib import Path

import pytest

from autotune.core.errors import StudyError
from autotune.study.storage import disk_errors


def test_only_a_full_disk_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=f"no space left for {tmp_path}; free some"), disk_errors.reported(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), disk_errors.reported(tmp_path):
        raise PermissionError(errno.EACCES, "no")
