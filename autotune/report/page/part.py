"""A part of the page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A part of the page: what it shows in a sentence, the plots in it, and a table whose first row is its head."""

    title: str
    says: str = ""
    plots: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
