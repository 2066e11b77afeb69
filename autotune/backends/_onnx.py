"""Making the ONNX model that ONNX Runtime and OpenVINO share: exported from a module, copied, or quantised."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from autotune.backends import _export
from autotune.backends._reason import reason
from autotune.core import rows, shapes
from autotune.core.errors import ModelError
from autotune.core.interfaces import Workload
from autotune.core.machine import Hardware
from autotune.core.workload_spec import InputSpec

if TYPE_CHECKING:
    import numpy as np

CALIBRATION_SAMPLES = 64

NUMPY_TYPES = frozenset(
    ["bool", "float16", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
)

QUANTIZABLE, MODERN = 13, 17
"""The first opset that has a scale per channel, and the one that older models are converted to."""

Inputs = Sequence[tuple[str, Sequence[Any]]]
"""The inputs of a model in its own order: names, and sizes, of which those that are free are no int."""


def makers(hw: Hardware) -> list[str]:
    """The packages that making the float32 model takes: onnx, and where torch can export a module, onnxscript.

    Without torch no module can be built at all, which its provider says; a file of the user's own needs neither.
    """
    return ["onnx", *(["onnxscript"] if "torch" in hw.packages else [])]


def batch_of(workload: Workload, inputs: Inputs) -> int | None:
    """The only batch size that a model with these inputs takes, or None."""
    order = shapes.order([name for name, _ in inputs], _described(workload))
    axes = workload.batch_axes if workload.described else None
    return shapes.fixed_batch([inputs[place][1] for place in order], axes)


def names(workload: Workload, inputs: Inputs) -> list[str]:
    """The model's own name of each of the workload's inputs, in their order; ModelError where they do not fit."""
    own = [name for name, _ in inputs]
    return [own[place] for place in shapes.order(own, _described(workload))]


def _described(workload: Workload) -> tuple[InputSpec, ...]:
    """The inputs that a space file describes in terms of this file; none where it was exported from a module."""
    return workload.described if workload.form == "onnx" else ()


def check_batch(workload: Workload, inputs: Inputs, batch_size: int) -> None:
    """ModelError if a model with these inputs takes only batches of another size."""
    size = batch_of(workload, inputs)
    if size not in (None, batch_size):
        raise ModelError(
            f"the batch dimension cannot vary: the model takes batches of {size}, not of {batch_size}; "
            f"use batch_size: [{size}] or export it with a dynamic batch"
        )


def dtype(kind: str) -> str | None:
    """The numpy type of what ONNX Runtime calls `tensor(float)`; None where numpy has none."""
    name = kind.removeprefix("tensor(").removesuffix(")")
    name = {"float": "float32", "double": "float64"}.get(name, name)
    return name if name in NUMPY_TYPES else None


def sizes(shape: Sequence[Any]) -> tuple[int | None, ...]:
    """A shape of ONNX Runtime's, None for each size that is a name or is not known."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def calibration(workload: Workload, inputs: Inputs) -> list[dict[str, np.ndarray[Any, Any]]]:
    """Feeds that together hold at least CALIBRATION_SAMPLES rows: one row each, or the model's fixed batch size."""
    size, axes = batch_of(workload, inputs) or 1, workload.batch_axes
    whole = workload.calibration(-(-CALIBRATION_SAMPLES // size) * size)
    batches = (range(begin, begin + size) for begin in range(0, rows.count(whole, axes) - size + 1, size))
    own = names(workload, inputs)
    return [dict(zip(own, rows.taken(whole, axes, batch), strict=True)) for batch in batches]


# --------------------------------------------------------------------------------------------- the float32 model


def own_file(workload: Workload) -> Path | None:
    """The model's own ONNX file; None where the provider gives a module."""
    return workload.file() if workload.form == "onnx" else None


def export(workload: Workload, path: Path) -> None:
    """The torch module with a dynamic batch dimension; ModelError if it cannot be, in one line."""
    import onnx
    import torch

    model = _export.flat(workload.module())
    _export.refuse_script(model)
    example = tuple(torch.from_numpy(array) for array in workload.arrays(_export.EXAMPLE_ROWS))
    try:
        torch.onnx.export(
            model,
            example,
            path,
            input_names=[f"input_{index}" for index in range(len(example))],
            dynamic_shapes=_export.dynamic(workload.batch_axes),
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise ModelError(f"the model cannot be exported to ONNX: {reason(error)}") from error
    # torch.onnx gives up a dynamic dimension in silence where torch.export asks for it
    graph = onnx.load(path, load_external_data=False).graph
    sizes = [[size.dim_param or size.dim_value for size in given.type.tensor_type.shape.dim] for given in graph.input]
    if (size := shapes.fixed_batch(sizes, workload.batch_axes)) is not None:
        raise ModelError(f"the batch dimension cannot vary: the model's code fixes it to {size} when it is exported")


def settings(workload: Workload) -> Any:
    """New session options, with the library of the model's own operators registered."""
    import onnxruntime as ort

    found = ort.SessionOptions()
    if (library := custom_ops(workload)) is not None:
        found.register_custom_ops_library(library)
    return found


def custom_ops(workload: Workload) -> str | None:
    """The library of the operators of a file of the user's; None where there is none."""
    library = workload.spec.options.get("custom_ops") if workload.form == "onnx" else None
    return None if library is None else str(library)


def copy(file: Path, path: Path) -> None:
    """A model's own file and, beside it, the external data that it names; ModelError if that lies elsewhere."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    model = onnx.load(file, load_external_data=False)
    for name in {ExternalDataInfo(tensor).location for tensor in _tensors(model) if uses_external_data(tensor)}:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ModelError(f"{file} keeps data in {name!r}, outside its own folder; move it beside the file")
        (path.parent / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.parent / name, path.parent / name)
    shutil.copyfile(file, path)


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a protobuf message, those in attributes and subgraphs included."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if hasattr(value, "add") else (value,):  # a repeated field has `add`
            if field.message_type.name == "TensorProto":
                yield part
            else:
                yield from _tensors(part)


# ------------------------------------------------------------------------------------------------------- quantising


def recipe(hw: Hardware) -> dict[str, Any]:
    """Types and range by CPU, as onnxruntime.quantization.quantize_static documents them under "CPU inference"."""
    if hw.architecture == "aarch64":
        return {"activation_type": "QInt8", "weight_type": "QInt8", "reduce_range": False}
    return {"activation_type": "QUInt8", "weight_type": "QInt8", "reduce_range": hw.saturates}


def quantize(workload: Workload, hw: Hardware, source: Path, path: Path) -> None:
    """Static QDQ quantisation, weights per channel; ModelError if no operator of the result runs in int8.

    A model of an old opset is converted first: scales per channel exist since QUANTIZABLE. ModelError for one with
    operators of its own: onnxruntime.quantization calibrates in sessions without them.
    """
    if custom_ops(workload) is not None:
        raise ModelError("a model with custom operators cannot be quantised by onnxruntime.quantization")
    import onnxruntime as ort
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    inputs = ort.InferenceSession(source, providers=["CPUExecutionProvider"]).get_inputs()
    feeds = calibration(workload, [(given.name, given.shape) for given in inputs])
    chosen = recipe(hw)
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        fused = Path(made) / "fused.onnx"
        # without symbolic shapes: their inference fails on some models, and quantising needs the fused nodes only
        quant_pre_process(modern(source, Path(made)), fused, skip_symbolic_shape=True, save_as_external_data=True)
        quantization.quantize_static(
            fused,
            path,
            Feeds(feeds),
            per_channel=True,
            reduce_range=chosen["reduce_range"],
            activation_type=quantization.QuantType[chosen["activation_type"]],
            weight_type=quantization.QuantType[chosen["weight_type"]],
            use_external_data_format=_bytes(source) > 2**30,  # one protobuf message holds at most 2 GiB
        )
        operators = executed(path, feeds[0], Path(made))
    if not any("QLinear" in name or "Integer" in name or name == "QGemm" for name in operators):
        raise ModelError(f"no operator of the quantised model runs in int8; it runs {', '.join(sorted(operators))}")


def modern(source: Path, folder: Path) -> Path:
    """The model's file, or one in `folder` of a converted model where its opset is older than QUANTIZABLE.

    ModelError in one line if it cannot be converted.
    """
    import onnx

    model = onnx.load(source, load_external_data=False)
    opset = next((used.version for used in model.opset_import if used.domain in ("", "ai.onnx")), QUANTIZABLE)
    if opset >= QUANTIZABLE:
        return source
    converted = folder / "converted.onnx"
    try:
        model = onnx.version_converter.convert_version(onnx.load(source), MODERN)
        onnx.save(model, converted, save_as_external_data=True, location="converted.bin")
    except Exception as error:  # of many types, some of them the converter's own
        raise ModelError(
            f"int8 needs ONNX opset {QUANTIZABLE}; the model has {opset}, and cannot be converted to {MODERN}: "
            f"{' '.join(str(error).split())[:300]}; export it anew"
        ) from error
    return converted


class Feeds:
    """A CalibrationDataReader of onnxruntime.quantization."""

    def __init__(self, feeds: list[dict[str, np.ndarray[Any, Any]]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """The next feed, None after the last."""
        return next(self._feeds, None)


def executed(path: Path, feed: dict[str, np.ndarray[Any, Any]], folder: Path) -> set[str]:
    """The operators that one call of a model runs, by ONNX Runtime's own profile (written into `folder`)."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.enable_profiling = True
    settings.profile_file_prefix = str(folder / "profile")
    session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_bytes())
    return {event["args"]["op_name"] for event in events if "op_name" in event.get("args", {})}


def _bytes(source: Path) -> int:
    return sum(file.stat().st_size for file in source.parent.iterdir() if file.is_file())
