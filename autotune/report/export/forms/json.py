"""`best.json` itself."""

from __future__ import annotations

import msgspec

from autotune.core.best import Best


def text(best: Best) -> str:
    """Everything, as `autotune run` and `autotune.load` read it."""
    return msgspec.json.format(msgspec.json.encode(best), indent=2).decode() + "\n"
