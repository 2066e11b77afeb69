"""The lines of the summary in their parts, for forms that have lists and tables of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LABEL = 10
"""A line of the head begins with its label, in so many columns; one without goes on with the line before."""

FIGURE = re.compile(r"(\d[\d.]*x(?: \([\d.]+ to [\d.]+\))?(?: \*)?|not measured)\s+(\S.*)")


@dataclass(frozen=True)
class Table:
    """A table below the head: its title, and rows of a number (may be empty) and what it is of."""

    title: str
    rows: tuple[tuple[str, str], ...]


def parts(lines: Sequence[str]) -> tuple[list[tuple[str, str]], list[Table]]:
    """The summary's head as pairs of label and text, and the tables that follow it."""
    end = list(lines).index("") if "" in lines else len(lines)
    head = [_labelled(line) for line in lines[:end]]
    tables: list[Table] = []
    for before, line in zip(lines[end:], lines[end + 1 :], strict=False):
        if not before:
            tables.append(Table(title=line, rows=()))
        elif line:
            last = tables.pop()
            tables.append(Table(title=last.title, rows=(*last.rows, _row(line))))
    return head, tables


def _labelled(line: str) -> tuple[str, str]:
    # Without a label there is a sentence: "No configuration has been measured."
    return (line[:LABEL].strip(), line[LABEL:]) if line[LABEL - 1 : LABEL] == " " else ("", line)


def _row(line: str) -> tuple[str, str]:
    found = FIGURE.fullmatch(line.strip())
    return (found[1], found[2]) if found else ("", line.strip())
