from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autotune.backends.onnxruntime import Options, OrtSession, applied, cache_key, unavailable
from autotune.types import Hardware
from tests import machines
from tests.backends import child

PACKAGES = dict.fromkeys(("onnxruntime", "torch", "onnx", "onnxscript"), "1.0")

CHILD = """
import onnx
from onnx import TensorProto, helper, numpy_helper
from autotune.backends import onnxruntime as backend

def values(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4])

nodes = [helper.make_node("Sub", [f"input_{i}", f"input_{1 - i}"], [f"output_{i}"]) for i in (0, 1)]
inputs, outputs = ([values(f"{kind}_{i}") for i in (0, 1)] for kind in ("input", "output"))
graph = helper.make_graph(nodes, "differences", inputs, outputs)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / backend.MODEL)

def threads():
    return len(os.listdir("/proc/self/task"))

backend.load(None, backend.Options(), configured("onnxruntime"), folder).close()  # starts what starts once
before = threads()
for asked in (1, 3):
    config = configured("onnxruntime", asked)
    session = backend.load(None, backend.Options(), config, folder)
    told[f"{asked} threads"] = [backend.applied(session, backend.Options(), config), threads() - before]
    told["other"] = backend.applied(session, backend.Options(), configured("onnxruntime", 2))
    for rows in (1, 5):
        batch = session.convert((np.full((rows, 4), 3, np.float32), np.full((rows, 4), 1, np.float32)))
        told[f"{rows} rows"] = [array.tolist() for array in session.outputs(session(batch))]
    session.close()
    told["left"] = threads() - before
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("onnxruntime"), "onnxruntime", "onnx")


def session(pool_threads: int, *providers: str) -> OrtSession:
    ort = SimpleNamespace(get_inputs=list, get_providers=lambda: list(providers))
    return OrtSession(ort, pool_threads)


def with_packages(**versions: str) -> Hardware:
    return machines.hardware(2, packages=PACKAGES | versions)


def test_every_package_that_is_missing_is_named() -> None:
    hw = machines.hardware(2, packages={"torch": "1.0", "onnxruntime": "1.0"})
    assert unavailable(Options(), hw) == "onnx, onnxscript not installed; pip install onnx onnxscript"


def test_one_file_serves_every_batch_and_layout() -> None:
    configs = [child.configured("onnxruntime", threads, batch_size) for threads in (1, 2) for batch_size in (1, 16)]
    assert len({cache_key(Options(), config, with_packages()) for config in configs}) == 1


def test_another_exporter_makes_another_file_and_another_runtime_does_not() -> None:
    config = child.configured("onnxruntime")
    first = cache_key(Options(), config, with_packages())
    assert cache_key(Options(), config, with_packages(onnxruntime="2.0")) == first
    for name in ("torch", "onnx", "onnxscript"):
        assert cache_key(Options(), config, with_packages(**{name: "2.0"})) != first


@pytest.mark.parametrize(
    ("pool_threads", "reason"),
    [(1, None), (0, "onnxruntime runs 1 threads, not 2"), (2, "onnxruntime runs 3 threads, not 2")],
)
def test_the_caller_is_one_of_the_threads(pool_threads: int, reason: str | None) -> None:
    found = applied(session(pool_threads, "CPUExecutionProvider"), Options(), child.configured("onnxruntime", 2))
    assert found == reason


def test_another_provider_is_found_out() -> None:
    other = session(0, "AzureExecutionProvider", "CPUExecutionProvider")
    reason = applied(other, Options(), child.configured("onnxruntime"))
    assert reason is not None and "AzureExecutionProvider" in reason and "not the CPU provider" in reason


def test_threads_are_counted_in_the_process_itself(told: dict[str, Any]) -> None:
    assert told["1 threads"] == [None, 0]
    assert told["3 threads"] == [None, 2]
    assert told["other"] == "onnxruntime runs 3 threads, not 2"


def test_close_ends_the_threads(told: dict[str, Any]) -> None:
    assert told["left"] == 0


def test_inputs_and_outputs_keep_the_graphs_order_at_any_batch_size(told: dict[str, Any]) -> None:
    for rows in (1, 5):
        assert told[f"{rows} rows"] == [[[2.0] * 4] * rows, [[-2.0] * 4] * rows]
