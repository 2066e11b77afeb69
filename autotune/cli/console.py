"""Where commands print."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_console() -> Console:
    """A console that prints names and reasons as they are."""
    from rich.console import Console

    # Names and reasons may hold brackets and colons, which are meant as they are.
    # FORCE_COLOR may colour a log, but nothing is redrawn in one.
    interactive = None if os.isatty(1) else False
    return Console(highlight=False, markup=False, emoji=False, force_interactive=interactive)
