"""Reference outputs: those of the plain float32 model for the first samples, and the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from autotune.core.struct import Struct
from autotune.models.workload import load_arrays, save_arrays
from autotune.worker.batches import Arrays
from autotune.worker.output_layout import Layout

OUTPUTS = "reference.npz"
NOTES = "reference.json"
EXAMPLES = "examples.npz"
"""The samples themselves, where the space file describes no inputs."""


class Reference(NamedTuple):
    """One array an output that is compared, a row a sample, and the outputs' names.

    `noise` is the centred error between two runs of the model; None where nothing varies. `classes` is true where rows
    of numbers are scores of classes, of which the largest is the answer. `own_layout` is that of the model's outputs
    where it is not the plain one: these, the batch first.
    """

    outputs: Arrays
    names: tuple[str, ...]
    noise: float | None = None
    classes: bool = False
    own_layout: Layout | None = None

    @property
    def layout(self) -> Layout:
        """The names of all outputs of the model, and where the rows of a batch lie in them."""
        return self.own_layout or Layout(names=self.names, axes=(0,) * len(self.names))


class Notes(Struct):
    """The content of `reference.json`: all of a reference but its arrays."""

    names: tuple[str, ...]
    noise: float | None
    layout: Layout
    classes: bool = False


def write_reference(reference: Reference, folder: Path) -> None:
    """Write the outputs, and beside them the notes."""
    save_arrays(folder / OUTPUTS, reference.outputs)
    notes = Notes(names=reference.names, noise=reference.noise, classes=reference.classes, layout=reference.layout)
    (folder / NOTES).write_bytes(msgspec.json.encode(notes))


def read_reference(folder: Path) -> Reference:
    """The reference that `write_reference` left in a folder."""
    notes = msgspec.json.decode((folder / NOTES).read_bytes(), type=Notes)
    return Reference(load_arrays(folder / OUTPUTS), notes.names, notes.noise, notes.classes, notes.layout)
