from __future__ import annotations

import pytest

from autotune.analysis.number_format import rounded, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1250.4, "1250"),
        (1000.0, "1000"),
        (512.34, "512.3"),
        (96.44, "96.4"),
        (7.914, "7.91"),
        (2.0, "2.00"),
        (0.01234, "0.0123"),
    ],
)
def test_three_digits_or_more_are_shown(value: float, text: str) -> None:
    assert rounded(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 KiB"),
        (12 * 2**10, "12 KiB"),
        (2**20, "1 MiB"),
        (812 * 2**20, "812 MiB"),
        (2**30, "1.0 GiB"),
        (int(1.4 * 2**30), "1.4 GiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
