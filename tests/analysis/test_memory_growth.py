from __future__ import annotations

from collections.abc import Sequence

import pytest

from autotune.analysis import memory_growth
from autotune.core.results import Block

MIB = 2**20


def blocks(*growths: float | None, calls: int = 10) -> Sequence[Block]:
    return [
        Block(start_ns=number, elapsed_ns=1, items=1, calls=calls, cpu_ns=1, growth_bytes=growth)
        for number, growth in enumerate(growths)
    ]


@pytest.mark.parametrize(
    ("growths", "grows"),
    [
        ((MIB, MIB, MIB), MIB),
        ((9 * MIB, MIB, MIB, MIB), MIB),
        ((MIB, MIB, 0), None),  # until not quite the end
        ((MIB, -MIB, MIB), None),
        ((1024.0, 1024.0), None),
        ((MIB,), None),  # one block shows no course
        ((MIB, None, MIB), None),
        ((None, None), None),
        ((), None),
    ],
)
def test_memory_grows_where_it_does_in_every_block(growths: tuple[float | None, ...], grows: float | None) -> None:
    assert memory_growth.per_call(blocks(*growths)) == grows


def test_of_many_small_calls_the_growth_of_the_block_counts() -> None:
    assert memory_growth.per_call(blocks(100.0, 100.0, calls=10_000)) == 100.0
    assert memory_growth.per_call(blocks(100.0, 100.0, calls=100)) is None


def test_growth_in_words() -> None:
    assert [memory_growth.words(one) for one in (MIB, 2.5 * MIB, 200_000, 12_000, 80.2)] == [
        "1.0 MiB",
        "2.5 MiB",
        "0.2 MiB",
        "12 KiB",
        "80 bytes",
    ]
