"""An ONNX file as it is: `onnx:model.onnx`, its batch dimension left open or fixed to the one size it is tuned at."""

from __future__ import annotations

import functools
import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.core import shapes
from autotune.core.errors import ModelError
from autotune.core.interfaces import Form
from autotune.core.machine import Hardware
from autotune.core.rows import Axes
from autotune.core.struct import Struct
from autotune.core.user_files import absolute, sha256
from autotune.core.workload_spec import InputSpec
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

UNKNOWN_OPERATOR = ("is not a registered function/op", "No opset import for domain", "No Op registered for")
"""What ONNX Runtime says of an operator that it does not have."""

LOCATION = re.compile(rb"\x0a\x08location\x12([\x80-\xff]?[\x00-\x7f])", re.DOTALL)
"""onnx.proto's StringStringEntryProto with the key `location`; the length of its value follows, a varint."""


paths = ("custom_ops",)


class Options(Struct):
    """The shared library of the model's custom operators, as `SessionOptions.register_custom_ops_library` takes it."""

    custom_ops: str | None = None


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
    """The digests of the file, of those that hold its weights, and of the library of its operators."""
    own = sha256(name)
    operators = [] if options.custom_ops is None else [sha256(options.custom_ops)]
    return (own, *(sha256(Path(name).parent / other, "external data") for other in _external(name, own)), *operators)


def judged(name: str, options: Options) -> bool:
    """It is the user's own model."""
    return True


def examples(name: str, options: Options, seed: int, samples: int) -> tuple[np.ndarray[Any, Any], ...]:
    """An array for each input of the graph: standard normal floats, integers 0 and 1.

    ModelError names an input whose shape, type or value the file does not tell.
    """
    own = _inputs(name, options.custom_ops)
    items = enumerate(zip(own, batch_axes(name, options), strict=True))
    return tuple(_example(name, own, item, axis, seed, index, samples) for index, (item, axis) in items)


def input_names(name: str, options: Options) -> dict[str, bool]:
    """The names of the graph's inputs; all must be given."""
    return {item.name: True for item in _inputs(name, options.custom_ops)}


def batch_axes(name: str, options: Options) -> Axes:
    """The batch dimension of each input, as the file names it; ModelError if it cannot be loaded."""
    return shapes.batch_axes([item.shape for item in _inputs(name, options.custom_ops)])


def fixed_batch(name: str, options: Options, inputs: Sequence[InputSpec] = ()) -> int | None:
    """The only batch size that the file takes, or None; ModelError if it cannot be loaded, or has not these inputs."""
    own = _inputs(name, options.custom_ops)
    if not inputs:
        return shapes.fixed_batch([item.shape for item in own])
    order = shapes.order([item.name for item in own], inputs)
    for index, (place, one) in enumerate(zip(order, inputs, strict=True)):
        _check(name, own[place], index, one)
    return shapes.fixed_batch([own[place].shape for place in order], tuple(one.batch_axis for one in inputs))


def _check(name: str, own: _Input, index: int, given: InputSpec) -> None:
    """ModelError where an input of the space file is of another type or shape than the file's own."""
    import numpy as np

    sizes = given.shape if given.value is None else np.shape(given.value)
    fixed = all(isinstance(size, int) for size in own.shape)
    fits = len(sizes) == len(own.shape) and all(
        size == wanted or not isinstance(wanted, int) or (fixed and size == "batch")
        for size, wanted in zip(sizes, own.shape, strict=True)
    )
    if not fits or given.dtype != DTYPES.get(own.type):
        got, wanted = (f"[{', '.join(map(str, part))}]" for part in (sizes, own.shape))
        raise ModelError(
            f"workload.inputs[{index}] is {given.dtype} {got}; input {own.name!r} of {name} is "
            f"{DTYPES.get(own.type, own.type)} {wanted}"
        )


@functools.cache
def _inputs(name: str, custom_ops: str | None) -> tuple[_Input, ...]:
    """The inputs that the file declares; nothing of the loaded model is kept."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    try:
        if custom_ops is not None:
            settings.register_custom_ops_library(custom_ops)
        graph = ort.InferenceSession(name, settings, providers=["CPUExecutionProvider"])
    except Exception as error:
        unknown = custom_ops is None and any(words in str(error) for words in UNKNOWN_OPERATOR)
        instead = "; write workload.custom_ops: LIBRARY.so with its operators" if unknown else ""
        raise ModelError(f"{name} cannot be loaded: {' '.join(str(error).split())[:300]}{instead}") from error
    return tuple(_Input(item.name, item.type, tuple(item.shape)) for item in graph.get_inputs())


def build(name: str, options: Options, seed: int) -> Any:
    """ModelError: there is no module."""
    raise ModelError(f"{name} is an ONNX file, not a torch module")


def _example(
    name: str, own: Sequence[_Input], item: _Input, axis: int | None, seed: int, index: int, samples: int
) -> np.ndarray[Any, Any]:
    import numpy as np

    if item.type not in DTYPES:
        allowed = ", ".join(DTYPES.values())
        raise ModelError(f"input {item.name!r} of {name} is {item.type}, which no input can be; allowed: {allowed}")
    if reason := _untold(item, axis):
        raise ModelError(f"input {item.name!r} of {name} {reason}; write workload.inputs: {_described(own)}")
    assert axis is not None
    sizes = [size for place, size in enumerate(item.shape) if place != axis]
    rng, dtype = np.random.default_rng([seed, index]), DTYPES[item.type]
    drawn = rng.standard_normal if dtype.startswith("float") else functools.partial(rng.integers, 0, 2)
    return np.ascontiguousarray(np.moveaxis(drawn(size=(samples, *sizes)).astype(dtype), 0, axis))


def _untold(item: _Input, axis: int | None) -> str | None:
    """What the file does not tell of an input, in words; or None."""
    if not item.shape:
        return f"is a single {DTYPES[item.type]}, whose value the file does not tell"
    if axis is None:
        return f"has shape {list(item.shape)}, without the batch that others have"
    open_ = [str(size or "?") for place, size in enumerate(item.shape) if place != axis and not isinstance(size, int)]
    return f"leaves {', '.join(open_)} open" if open_ else None


def _described(own: Sequence[_Input]) -> str:
    """The inputs of a file as a space file may describe them; what the file leaves open is to be filled in."""
    found = []
    for item, axis in zip(own, shapes.batch_axes([item.shape for item in own]), strict=True):
        dtype = DTYPES.get(item.type, item.type)
        sizes = ["batch" if place == axis else str(size or "?") for place, size in enumerate(item.shape)]
        what = f"shape: [{', '.join(sizes)}]" if sizes else "value: 1"
        found.append(f"{{{what}{'' if dtype == 'float32' and sizes else f', dtype: {dtype}'}}}")
    slow = "float16" in "".join(found)
    return f"[{', '.join(found)}]{' (a float32 file may be faster on this CPU)' if slow else ''}"


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
