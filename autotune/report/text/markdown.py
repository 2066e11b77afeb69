"""Markdown in which what others wrote stays text."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#&$@^:+-]|(?<=\d)[.)](?!\S))")
"""Characters that Markdown may take for markup; the last are those of a numbered list."""


def literal(text: str) -> str:
    """Text on one line that Markdown takes for nothing but text, also where a line or a cell of a table begins."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str) -> str:
    """Lines shown as they are, whatever they hold."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [[literal(cell) for cell in row] for row in (head, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], ["---"] * len(head), *lines[1:]])
