from __future__ import annotations

from pathlib import Path

import numpy as np

from autotune.worker.reference import Reference, read_reference, write_reference


def test_a_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Reference((np.ones((2, 3)), np.arange(2)), ("logits", "label"), 0.25, classes=True)
    write_reference(written, tmp_path)
    found = read_reference(tmp_path)
    assert (found.names, found.noise, found.classes) == (written.names, written.noise, True)
    for one, other in zip(found.outputs, written.outputs, strict=True):
        np.testing.assert_array_equal(one, other)
