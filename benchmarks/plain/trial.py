"""One trial of the plain loop (`../naive.py`) as a user writes it by the articles, for ResNet50.

Of autotune it has only an import of torchvision that works beside a CPU build of torch. Exporting, quantising and
compiling are done here, in every trial. Prints `ready` after 20 calls, waits for a line, so that several workers begin
together, then prints `rate` and the samples per second over 100 calls.

    OMP_NUM_THREADS=2 python trial.py '{"backend": "openvino", "precision": "int8", "batch_size": 8}'
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from autotune.workloads._torch import import_torchvision

WARM_UP, CALLS = 20, 100
CALIBRATION = 300
"""What NNCF takes of a dataset by default."""

Asked = dict[str, Any]
Call = Callable[[], object]
THREADS = int(os.environ["OMP_NUM_THREADS"])


def main() -> None:
    """Make it, warm it up, time it."""
    asked: Asked = json.loads(sys.argv[1])
    torch.set_num_threads(THREADS)
    model = import_torchvision().models.resnet50().eval()
    batch = torch.randn(asked["batch_size"], 3, 224, 224)
    makers = {"torch_eager": by_torch, "torch_compile": by_torch, "onnxruntime": by_onnx, "openvino": by_openvino}
    call = makers[asked["backend"]](model, batch, asked)
    for _ in range(WARM_UP):
        call()
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.perf_counter()
    for _ in range(CALLS):
        call()
    print("rate", CALLS * asked["batch_size"] / (time.perf_counter() - begin), flush=True)


def by_torch(model: Any, batch: torch.Tensor, asked: Asked) -> Call:
    """Eager, or compiled."""
    if asked["memory_format"] == "channels_last":
        model, batch = model.to(memory_format=torch.channels_last), batch.to(memory_format=torch.channels_last)
    if asked["backend"] == "torch_compile":
        import torch._inductor.config as inductor

        inductor.freezing = asked["freezing"]
        model = torch.compile(model)

    def call() -> object:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=asked["precision"] == "bfloat16"):
            return model(batch)

    return call


def by_onnx(model: Any, batch: torch.Tensor, asked: Asked) -> Call:
    """ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(exported(model), options, providers=["CPUExecutionProvider"])
    feed = {"input": batch.numpy()}
    return lambda: session.run(None, feed)


def by_openvino(model: Any, batch: torch.Tensor, asked: Asked) -> Call:
    """OpenVINO on the ONNX model, quantised by NNCF for int8."""
    import openvino

    core = openvino.Core()
    found = core.read_model(exported(model))
    if asked["precision"] == "int8":
        import nncf

        rows = [{"input": torch.randn(1, 3, 224, 224).numpy()} for _ in range(CALIBRATION)]
        found = nncf.quantize(found, nncf.Dataset(rows))
    settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(found, "CPU", settings)
    array = batch.numpy()
    return lambda: compiled([array])[0]


def exported(model: Any) -> str:
    """The model's ONNX file, for any batch size."""
    path = f"{tempfile.mkdtemp()}/resnet50.onnx"
    torch.onnx.export(
        model,
        (torch.randn(4, 3, 224, 224),),
        path,
        input_names=["input"],
        output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    return path


if __name__ == "__main__":
    main()
