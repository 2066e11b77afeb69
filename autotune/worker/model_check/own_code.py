"""The line of the model's own code that is running: outside torch, numpy, Python's library and autotune."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from pathlib import Path

OURS = str(Path(__file__).parents[2])


def line() -> str | None:
    """`net.py, line 3: x.div_(255)`, the innermost frame of the model's own code; None where there is none."""
    frames = traceback.extract_stack()
    own = [frame for frame in frames if not frame.filename.startswith(_others())]
    if not own:
        return None
    return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"


def _others() -> tuple[str, ...]:
    """Where code lies that no user of a model writes."""
    packages = [sys.modules[name].__file__ for name in ("torch", "numpy") if name in sys.modules]
    folders = [str(Path(file).parent) for file in packages if file]
    return (OURS, "<", sysconfig.get_path("stdlib"), *folders)
