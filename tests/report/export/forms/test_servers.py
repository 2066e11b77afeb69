"""The servers' own configuration files: TorchServe, OpenVINO Model Server, ONNX Runtime."""

from __future__ import annotations

import json

import msgspec

from autotune.core.workload_spec import ServingSpec
from autotune.report.export import writer
from tests.apply.made import best
from tests.report.made import HW, config


def properties(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_torchserve_has_the_workers_the_batch_and_the_pinning() -> None:
    eager = config("torch_eager", 8, {"memory_format": "channels_last"}, layout="2x1", allocator="tcmalloc")
    workload = msgspec.structs.replace(best().workload, serving=ServingSpec(latency_ms=50, queue_delay_ms=4.0))
    text = writer.text(best(eager, workload=workload), "torchserve")
    found = properties(text)
    model = json.loads(found["models"])["resnet18"]["1.0"]
    assert (model["minWorkers"], model["maxWorkers"], model["batchSize"], model["maxBatchDelay"]) == (2, 2, 8, 4)
    assert found["cpu_launcher_args"] == "--core-list 0,1 --use-default-allocator --disable-iomp"
    assert "# LD_PRELOAD=/usr/lib/libtcmalloc.so" in text.splitlines()
    assert "memory_format channels_last" in text


def test_torchserve_on_arm_is_said_not_to_pin() -> None:
    arm = msgspec.structs.replace(HW, architecture="aarch64")
    text = writer.text(best(config("torch_eager", layout="2x1"), arm), "torchserve")
    assert "cpu_launcher_enable" not in properties(text)
    assert "workers are not pinned" in text


def test_ovms_has_the_properties_that_were_compiled_with() -> None:
    options = {"precision": "int8", "streams": 2, "requests": 4}
    found = json.loads(writer.text(best(config("openvino", 8, options, layout="1x2")), "ovms"))
    (entry,) = found["model_config_list"]
    assert entry["config"] == {
        "name": "resnet18",
        "base_path": "/models/resnet18",
        "target_device": "CPU",
        "nireq": 4,
        "plugin_config": {
            "NUM_STREAMS": 2,
            "INFERENCE_NUM_THREADS": 2,
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": "f32",
        },
    }


def test_ovms_with_a_hint() -> None:
    options = {"hint": "throughput", "requests": 0}
    entry = json.loads(writer.text(best(config("openvino", 8, options, layout="1x2")), "ovms"))["model_config_list"][0]
    assert entry["config"]["plugin_config"]["PERFORMANCE_HINT"] == "THROUGHPUT"
    assert entry["config"]["nireq"] == 0


def test_onnxruntime_has_the_sessions_settings() -> None:
    options = {"spinning": False, "graph_level": "extended"}
    found = json.loads(writer.text(best(config("onnxruntime", 8, options, layout="1x2")), "onnxruntime"))
    assert found["session_options"]["intra_op_num_threads"] == 2
    assert found["session_options"]["graph_optimization_level"] == "ORT_ENABLE_EXTENDED"
    assert found["session_config_entries"] == {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    }
    assert found["workers"] == [{"cpus": [0, 1]}] and found["batch_size"] == 8
