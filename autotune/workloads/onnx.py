"""An ONNX file as it is: `onnx:model.onnx`, its batch dimension left open or fixed to the one size it is tuned at."""

from __future__ import annotations

import functools
import mmap
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.core import shapes
from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.core.user_files import absolute, sha256
from autotune.hardware.interpreters import missing

if TYPE_CHECKING:
    import numpy as np

packages = ("onnxruntime",)
form: Form = "onnx"
plain = "onnxruntime"

DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}
"""Types as ONNX Runtime names them."""

LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])", re.DOTALL)
"""onnx.proto's StringStringEntryProto with the key `location`; the length of its value follows, a varint."""


class Options(Struct):
    """None."""


class _Input(NamedTuple):
    """An input of a graph; sizes that are open are no int."""

    name: str
    type: str
    shape: tuple[Any, ...]


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Reason why ONNX files cannot be run here, or None."""
    return missing(packages, hw)


def resolve(name: str, folder: Path) -> str:
    """The file's absolute path; ModelError if it is not there."""
    return absolute(name, folder)


def file(name: str) -> Path:
    """The file."""
    return Path(name)


def cache_key(name: str, options: Options) -> tuple[Any, ...]:
    """The digests of the file and of those that hold its weights."""
    own = sha256(name)
    return (own, *(sha256(Path(name).parent / other, "external data") for other in _external(name, own)))


def judged(name: str, options: Options) -> bool:
    """It is the user's own model."""
    return True


def examples(name: str, options: Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """An array for each input of the graph: standard normal floats, integers 0 and 1; the first dimension is the batch.

    ModelError names an input whose shape or type the file does not tell.
    """
    size = fixed_batch(name)
    return tuple(_example(name, item, seed, index, samples, size) for index, item in enumerate(_inputs(name)))


def input_names(name: str, options: Options) -> dict[str, bool]:
    """The names of the graph's inputs; all must be given."""
    return {item.name: True for item in _inputs(name)}


def fixed_batch(name: str) -> int | None:
    """The only batch size that the file takes, or None; ModelError if it cannot be loaded."""
    return shapes.fixed_batch([item.shape for item in _inputs(name)])


@functools.cache
def _inputs(name: str) -> tuple[_Input, ...]:
    """The inputs that the file declares; nothing of the loaded model is kept."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    try:
        graph = ort.InferenceSession(name, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{name} cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    return tuple(_Input(item.name, item.type, tuple(item.shape)) for item in graph.get_inputs())


def build(name: str, options: Options, seed: int) -> Any:
    """ModelError: there is no module."""
    raise ModelError(f"{name} is an ONNX file, not a torch module")


def _example(name: str, item: _Input, seed: int, index: int, samples: int, fixed: int | None) -> np.ndarray[Any, Any]:
    import numpy as np

    if item.type not in DTYPES or not item.shape:
        raise ModelError(
            f"input {item.name!r} of {name} is {item.type}{list(item.shape)}; it has no rows to be a batch of"
        )
    batch, *sizes = item.shape
    if isinstance(batch, int) and batch != fixed:
        raise ModelError(
            f"input {item.name!r} of {name} has a fixed batch of {batch}, unlike others; "
            "export the model with a dynamic one, as torch.onnx.export does with dynamic_shapes"
        )
    if open_ := [str(size or "?") for size in sizes if not isinstance(size, int)]:
        raise ModelError(
            f"input {item.name!r} of {name} leaves {', '.join(open_)} open; write the sizes of all inputs "
            f"under workload.inputs, such as [{{shape: [batch, {', '.join(map(str, sizes))}], dtype: ...}}]"
        )
    rng, dtype = np.random.default_rng([seed, index]), DTYPES[item.type]
    if dtype.startswith("float"):
        return rng.standard_normal((samples, *sizes)).astype(dtype)
    return rng.integers(0, 2, (samples, *sizes)).astype(dtype)


@functools.cache
def _external(name: str, content: str) -> tuple[str, ...]:
    """The files, relative to it, that hold tensors of a file with this content."""
    if not Path(name).stat().st_size:  # nothing to map
        return ()
    with open(name, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        places = {_value(data, key) for key in LOCATION.finditer(data)}
    return tuple(sorted(places))


def _value(data: mmap.mmap, key: re.Match[bytes]) -> str:
    low, high = (*key[1], 0)[:2]
    length = low & 0x7F | high << 7
    return data[key.end() : key.end() + length].decode(errors="replace")
