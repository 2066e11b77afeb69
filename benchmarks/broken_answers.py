"""Answers that are broken on purpose, and weights of fewer bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from answer_tasks import Task

Array = np.ndarray[Any, Any]
ROW_OF_BATCH = 7


def _liveliest(output: Array) -> int:
    """The channel of the second dimension that varies the most."""
    return int(output.std(axis=tuple(axis for axis in range(output.ndim) if axis != 1)).argmax())


def _dead(output: Array) -> Array:
    got, channel = output.copy(), _liveliest(output)
    got[:, channel] = output[:, channel].mean()
    return got


def _swapped(output: Array) -> Array:
    got, channel = output.copy(), _liveliest(output)
    other = (channel + 1) % output.shape[1]
    got[:, [channel, other]] = output[:, [other, channel]]
    return got


def _last_row(output: Array) -> Array:
    got = output.copy()
    got[ROW_OF_BATCH :: ROW_OF_BATCH + 1] = 0
    return got


def _noisy(share: float) -> Callable[[Array], Array]:
    def spoil(output: Array) -> Array:
        noise = np.random.default_rng(0).standard_normal(output.shape)
        return np.asarray(output + noise * np.sqrt(share) * output.std(axis=0), output.dtype)

    return spoil


BROKEN: dict[str, Callable[[Array], Array]] = {
    "the mean of all": lambda output: np.broadcast_to(output.mean(axis=0), output.shape).copy(),
    "zeros": np.zeros_like,
    "a dead channel": _dead,
    "two channels swapped": _swapped,
    "last row of the batch 0": _last_row,
    "the sign turned": lambda output: -output,
    "noise of 0.01": _noisy(0.01),
    "noise of 0.03": _noisy(0.03),
    "noise of 0.1": _noisy(0.1),
    "noise of 0.3": _noisy(0.3),
}


def rounded_weights(task: Task, bits: int, folder: Path) -> Task:
    """The task with matrices of so many bits, one scale each: another ONNX file, or a builder around its own."""
    if task.model.startswith("onnx:"):
        import onnx
        from onnx import numpy_helper

        model = onnx.load(task.model.removeprefix("onnx:"))
        for tensor in model.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.ndim >= 2 and values.dtype == np.float32:
                tensor.CopyFrom(numpy_helper.from_array(_rounded(values, bits), tensor.name))
        for node in model.graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    values = numpy_helper.to_array(attribute.t)
                    if values.ndim >= 2 and values.dtype == np.float32:
                        attribute.t.CopyFrom(numpy_helper.from_array(_rounded(values, bits), attribute.t.name))
        onnx.save(model, folder / "rounded.onnx")
        return dataclasses.replace(task, model=f"onnx:{folder}/rounded.onnx")
    (folder / f"rounded{bits}.py").write_text(
        "import torch\n"
        "from autotune.core import user_function\n"
        f"def build():\n"
        f"    model = user_function.load({task.model.removeprefix('python:')!r})()\n"
        "    for weights in model.parameters():\n"
        "        if weights.ndim >= 2:\n"
        f"            scale = weights.detach().abs().max() / {2 ** (bits - 1) - 1}\n"
        "            weights.data = (weights.data / scale).round() * scale\n"
        "    return model\n"
    )
    return dataclasses.replace(task, model=f"python:{folder}/rounded{bits}.py:build")


def _rounded(values: Array, bits: int) -> Array:
    scale = np.abs(values).max() / (2 ** (bits - 1) - 1)
    return np.asarray(np.round(values / scale) * scale if scale > 0 else values, np.float32)
