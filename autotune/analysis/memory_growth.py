"""Memory that workers go on taking while they are measured: a model that keeps something of each call."""

from __future__ import annotations

from collections.abc import Sequence

from autotune.core.results import Block

LEAST_BYTES = 2**19
"""The growth of all workers within a block that counts: an allocator takes less by itself."""

LEAST_BLOCKS = 2


def per_call(blocks: Sequence[Block]) -> float | None:
    """The bytes a call by which a worker's memory grew until the end; None where it did not, or is not known.

    It grew if it did in every block; the median of the blocks is by how much.
    """
    known = [block.growth_bytes for block in blocks if block.growth_bytes is not None]
    if len(known) < max(len(blocks), LEAST_BLOCKS):
        return None
    if any(growth * block.calls < LEAST_BYTES for growth, block in zip(known, blocks, strict=True)):
        return None
    return sorted(known)[len(known) // 2]


def words(growth: float) -> str:
    """A growth in bytes: `1.0 MiB`, `12 KiB`, `80 bytes`."""
    if growth < 2**10:
        return f"{growth:.0f} bytes"
    return f"{growth / 2**20:.1f} MiB" if growth >= 2**20 / 10 else f"{growth / 2**10:.0f} KiB"
