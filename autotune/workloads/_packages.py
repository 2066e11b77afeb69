"""What a provider needs to have installed."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.types import Hardware


def missing(packages: Sequence[str], hw: Hardware) -> str | None:
    """Which of the packages are not installed, with the remedy, or None."""
    absent = [name for name in packages if name not in hw.packages]
    return f"{' and '.join(absent)} not installed; pip install {' '.join(absent)}" if absent else None
