"""Image files as a model's own transform sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core.errors import ModelError
from autotune.workloads._torch import one_line

if TYPE_CHECKING:
    import numpy as np


def decoded(files: Sequence[Path], transform: Callable[[Any], Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """The images (RGB) through a transform to tensors, as one array of a row each; ModelError names a file."""
    import numpy as np

    try:
        from PIL import Image
    except ImportError as error:
        raise ModelError("images need Pillow, which is not installed; pip install pillow") from error
    rows = []
    for file in files:
        try:
            with Image.open(file) as image:
                rows.append(np.asarray(transform(image.convert("RGB"))))
        except Exception as error:
            raise ModelError(f"the image {file} cannot be read: {one_line(error)}") from error
        if rows[-1].shape != rows[0].shape:
            raise ModelError(
                f"the model's transform gives {files[0].name} the shape {rows[0].shape} and {file.name} "
                f"{rows[-1].shape}; write a function that returns images of one size"
            )
    return (np.stack(rows),)
