"""OpenVINO's intermediate representation of a model: its inputs' shapes, and its int8 form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autotune.backends import _onnx
from autotune.core.errors import ModelError
from autotune.core.interfaces import Port, Workload
from autotune.core.machine import Hardware

DTYPES = {
    "boolean": "bool",
    **{f"f{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"{kind[0]}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}
"""OpenVINO's types by their names, those that numpy has."""

PASSING = (
    *("Broadcast", "Convert", "Multiply", "Reshape", "Select", "Slice", "Squeeze", "StridedSlice"),
    *("Transpose", "Unsqueeze"),
)
"""What may lie between the softmax of an attention and the product with its values."""


def inputs(model: Any) -> list[tuple[str, list[int | None]]]:
    """The inputs' names (the number of one that has none) and sizes, None where one is free."""
    return [
        (min(given.get_names(), default=str(place)), _sizes(given.partial_shape))
        for place, given in enumerate(model.inputs)
    ]


def port(given: Any) -> Port:
    """An input of a model as who calls it has to know it."""
    shape = given.partial_shape
    return Port(
        name=given.any_name if given.names else None,
        dtype=DTYPES.get(given.get_element_type().get_type_name()),
        shape=tuple(_sizes(shape)) if shape.rank.is_static else None,
    )


def _sizes(shape: Any) -> list[int | None]:
    return [size.get_length() if size.is_static else None for size in shape]


def converted(file: Path) -> Any:
    """The model of an ONNX file; ModelError in one line if OpenVINO cannot take it, as where it lacks an operator."""
    import openvino

    try:
        return openvino.convert_model(file)
    except Exception as error:  # of many types, each with a report of several lines
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
        why = next((line for line in lines if line.startswith("No conversion rule")), lines[-1] if lines else "")
        raise ModelError(f"OpenVINO cannot take the ONNX model: {why or type(error).__name__}") from error


def has_attention(model: Any) -> bool:
    """True if a softmax of the model weighs the values of an attention; that of a classifier's end does not."""
    weights: set[str] = set()
    for operator in model.get_ordered_ops():
        kind = operator.get_type_name()
        sources = (given.get_source_output().get_node().get_friendly_name() for given in operator.inputs())
        weighing = not weights.isdisjoint(sources)
        if kind == "ScaledDotProductAttention" or (weighing and kind in ("Einsum", "MatMul")):
            return True
        if kind == "Softmax" or (weighing and kind in PASSING):
            weights.add(operator.get_friendly_name())
    return False


def quantized(workload: Workload, hw: Hardware, model: Any) -> Any:
    """The model quantised to int8 by NNCF on the workload's samples, for a CPU whose sums saturate where `hw`'s do.

    An attention is quantised as a transformer's: a padding mask of the least float would else take up the whole scale.
    """
    import nncf

    samples = _onnx.calibration(workload, inputs(model))
    fix = nncf.OverflowFix.ENABLE if hw.saturates else None  # None is NNCF's own choice
    advanced = nncf.AdvancedQuantizationParameters(overflow_fix=fix)
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER if has_attention(model) else None,
        advanced_parameters=advanced,
    )
