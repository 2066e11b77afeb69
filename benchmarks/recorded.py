"""The tables of `benchmarks/spaces`: spaces that were measured whole."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from autotune.core.answers import Fidelity
from autotune.core.machine import Hardware
from autotune.core.results import Block, Status
from autotune.core.space_types import Space
from autotune.core.struct import FORMAT, Struct, Value

FOLDER = Path(__file__).parent / "spaces"


class Row(Struct):
    """One configuration's trial: its parameters as the sampler names them, its raw blocks, and what it cost (s).

    `prepare_s` is the part of `wall_s` that made the artifact; 0 where an earlier row had made it. `again` are the
    blocks of later launches, for the best ones. `fidelity` and `feasible`, false where the trial broke a limit of the
    space, are as its first launch showed them; tables of before they were kept have neither.
    """

    parameters: dict[str, Value]
    status: Status
    blocks: tuple[Block, ...]
    wall_s: float
    prepare_s: float
    again: tuple[tuple[Block, ...], ...] = ()
    artifact: str | None = None
    error: str | None = None
    fidelity: Fidelity | None = None
    feasible: bool = True


class Table(Struct):
    """A space with all its rows, in the order in which they were measured."""

    space: Space
    hardware: Hardware
    rows: tuple[Row, ...]
    format: int = FORMAT


def write(path: Path, table: Table) -> None:
    """Compressed JSON, the same bytes for the same table."""
    path.write_bytes(gzip.compress(msgspec.json.encode(table), mtime=0))


def read(path: Path) -> Table:
    """A table of `write`."""
    return msgspec.json.decode(gzip.decompress(path.read_bytes()), type=Table)
