"""Writing a file whole or not at all, with the system's own errors."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary name beside `path`, then rename: a reader or a crash never meets half a file.

    The file has the permissions that the user's umask gives any new file.
    """
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    file = temporary.open("xb")
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """An array as `.npy`; a full disk raises its own error, which `numpy.save` on a path would reword."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    path.write_bytes(buffer.getbuffer())
