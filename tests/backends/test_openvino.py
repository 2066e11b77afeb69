from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autotune import environment, plugins, space
from autotune.backends.openvino import OpenvinoSession, Options, applied, cache_key, source, unavailable
from autotune.types import Hardware
from tests import machines
from tests.backends import child

PACKAGES = dict.fromkeys(("openvino", "torch", "onnx", "onnxscript", "nncf"), "1.0")
INT8 = Options(precision="int8")

CHILD = """
import openvino
from openvino import opset13
from autotune.backends import openvino as backend

given = opset13.parameter([-1, 4], np.float32)
double = opset13.matmul(given, 2 * np.eye(4, dtype=np.float32), False, False)
openvino.save_model(openvino.Model([double], [given], "double"), folder / backend.MODEL, compress_to_fp16=False)

def reason(session, **options):
    return backend.applied(session, backend.Options(**options), configured("openvino", **options))

session = backend.load(None, backend.Options(), configured("openvino"), folder)
told["float32"], told["int8"] = reason(session), reason(session, precision="int8")
kept = [session.outputs(session(session.convert((np.full((rows, 4), rows, np.float32),)))) for rows in (1, 3, 2)]
told["kept"] = [outputs[0].tolist() for outputs in kept]
session.close()
"""


def compiled(threads: int, *precisions: str) -> OpenvinoSession:
    """A session whose compiled model says this of itself."""
    said = [SimpleNamespace(astype=lambda _, name=name: name) for name in precisions]
    ops = [SimpleNamespace(get_rt_info=lambda said=said: {"runtimePrecision": said}) for said in said]
    model = SimpleNamespace(
        create_infer_request=lambda: None,
        get_property=lambda name: {"INFERENCE_NUM_THREADS": threads}[name],
        get_runtime_model=lambda: SimpleNamespace(get_ops=lambda: ops),
    )
    return OpenvinoSession(model)


def with_packages(**versions: str) -> Hardware:
    return machines.hardware(2, packages=PACKAGES | versions)


def test_only_int8_needs_nncf() -> None:
    without = machines.hardware(2, packages={name: "1.0" for name in PACKAGES if name != "nncf"})
    assert unavailable(Options(), without) is None
    assert unavailable(INT8, without) == "nncf not installed; pip install nncf"


def test_int8_comes_from_float32_and_that_from_onnx() -> None:
    chain, step = [], source(INT8)
    while step is not None:
        chain.append(step)
        step = plugins.load("backends", step[0]).source(plugins.backend_options(step[0], dict(step[1])))
    assert chain == [("openvino", {"precision": "float32"}), ("onnxruntime", {"precision": "float32"})]


def test_one_model_serves_every_batch_and_layout() -> None:
    for options in (Options(), INT8):
        configs = [child.configured("openvino", threads, batch) for threads in (1, 2) for batch in (1, 16)]
        assert len({cache_key(options, config, with_packages()) for config in configs}) == 1


def test_a_model_is_made_again_for_another_version_of_its_maker() -> None:
    config = child.configured("openvino")
    for options, makers in ((Options(), {"openvino"}), (INT8, {"openvino", "nncf"})):
        first = cache_key(options, config, with_packages())
        again = {name for name in PACKAGES if cache_key(options, config, with_packages(**{name: "2.0"})) != first}
        assert again == makers


@pytest.mark.parametrize("allocator", ["tcmalloc", "jemalloc", "mimalloc"])
def test_onetbb_does_not_bind_deeply_beside_a_preloaded_allocator(allocator: str) -> None:
    packages = PACKAGES | {"onnxruntime": "1.0"}
    hw = machines.hardware(2, packages=packages, libraries={allocator: f"/usr/lib/lib{allocator}.so"}, glibc="2.36")
    config = space.configure(hw, batch_size=1, backend="openvino", knobs={"allocator": allocator})
    asked = environment.patch(config, hw)
    assert asked.preload == (f"/usr/lib/lib{allocator}.so",)
    assert asked.env["TBB_ENABLE_SANITIZERS"] == "1"


@pytest.mark.parametrize(
    ("options", "session", "reason"),
    [
        (Options(), compiled(2, "f32", "i32"), None),
        (Options(), compiled(1, "f32"), "openvino runs 1 threads, not 2"),
        (Options(), compiled(2, "f32", "bf16"), "the compiled model runs in bf16, f32, not in float32"),
        (INT8, compiled(2, "f32", "u8"), None),
        (INT8, compiled(2, "f32", "i8"), None),
        (INT8, compiled(2, "f32", "f32"), "no operation of the compiled model runs in int8; it runs in f32"),
    ],
)
def test_threads_and_executed_precision_are_read_back(
    options: Options, session: OpenvinoSession, reason: str | None
) -> None:
    assert applied(session, options, child.configured("openvino", 2)) == reason


def test_a_compiled_model_is_proven_and_its_outputs_outlive_the_next_call(tmp_path_factory: Any) -> None:
    told = child.told(CHILD, tmp_path_factory.mktemp("openvino"), "openvino")
    assert told["float32"] is None
    assert "no operation of the compiled model runs in int8" in told["int8"]
    assert told["kept"] == [[[2.0 * rows] * 4] * rows for rows in (1, 3, 2)]
