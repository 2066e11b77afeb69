"""Programs started by `run` in a process of their own, as a person starts them."""

from __future__ import annotations

import sys
from pathlib import Path

from autotune.core.best import Best
from autotune.report.export import writer

DRIVER = """
import os, sys
from pathlib import Path
from autotune.hardware import probe as hardware
from autotune.apply import run
from autotune.core.errors import NotStarted
path, grace_s, *command = sys.argv[1:]
path, hw = Path(path), hardware.probe()
try:
    status = run.run(path, command, hw, os.environ, path.parent, lambda line: None, force=True, grace_s=float(grace_s))
except NotStarted as error:
    status = error.status
sys.exit(status)
"""


def argv(folder: Path, found: Best, *command: str, grace_s: float = 10.0) -> list[str]:
    """The words that start a program under `run`, whatever this machine lacks."""
    writer.write(folder / "best.json", found)
    return [sys.executable, "-c", DRIVER, str(folder / "best.json"), str(grace_s), *command]
