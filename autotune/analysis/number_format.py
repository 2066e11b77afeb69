"""Numbers as every table and report shows them."""

from __future__ import annotations


def rounded(value: float) -> str:
    """Three significant digits or more, one decimal from 10 and none from 1000 on: `1250`, `96.4`, `7.91`, `0.0123`."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:#.3g}"


def size(count: float) -> str:
    """A number of bytes: `12 KiB`, `812 MiB`, `1.4 GiB`."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.0f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"
