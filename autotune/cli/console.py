"""The consoles that commands print to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 140
"""The least width of a table, in characters."""


def open_console() -> Console:
    """A console that prints names and reasons as they are."""
    from rich.console import Console

    # Names and reasons may hold brackets and colons, which are meant as they are.
    # FORCE_COLOR may colour a log, but nothing is redrawn in one.
    interactive = None if os.isatty(1) else False
    return Console(highlight=False, markup=False, emoji=False, force_interactive=interactive)


def table_console(console: Console) -> Console:
    """A console for tables: wider than a narrow terminal rather than with columns squeezed; the last one may wrap."""
    from rich.console import Console

    return Console(
        file=console.file,
        force_terminal=console.is_terminal,
        width=max(console.width, WIDTH),
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines, each as it is however narrow the terminal."""
    for line in lines:
        console.print(line, soft_wrap=True)
