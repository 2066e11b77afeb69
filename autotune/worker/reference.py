"""Reference outputs: those of the plain float32 model for the first samples, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from autotune.core.struct import Struct
from autotune.models.workload import load_arrays, save_arrays
from autotune.worker.batches import Arrays

OUTPUTS = "reference.npz"
NOTES = "reference.json"
EXAMPLES = "examples.npz"
"""The samples themselves, where the space file describes no inputs."""


class Reference(NamedTuple):
    """One array an output, a row a sample, and the outputs' names.

    `noise` is the centred error between two runs of the model; None where nothing varies. `classes` is true where rows
    of numbers are scores of classes, of which the largest is the answer.
    """

    outputs: Arrays
    names: tuple[str, ...]
    noise: float | None = None
    classes: bool = False


class Notes(Struct):
    """The content of `reference.json`: all of a reference but its arrays."""

    names: tuple[str, ...]
    noise: float | None
    classes: bool = False


def write_reference(reference: Reference, folder: Path) -> None:
    """Write the outputs, and beside them the notes."""
    save_arrays(folder / OUTPUTS, reference.outputs)
    notes = Notes(names=reference.names, noise=reference.noise, classes=reference.classes)
    (folder / NOTES).write_bytes(msgspec.json.encode(notes))


def read_reference(folder: Path) -> Reference:
    """The reference that `write_reference` left in a folder."""
    notes = msgspec.json.decode((folder / NOTES).read_bytes(), type=Notes)
    return Reference(load_arrays(folder / OUTPUTS), notes.names, notes.noise, notes.classes)
