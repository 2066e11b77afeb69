from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from autotune.backends import _onnx
from autotune.backends.onnxruntime import (
    Options,
    OrtSession,
    applied,
    attributes,
    cache_key,
    entries,
    source,
    unavailable,
)
from autotune.core.machine import Hardware
from tests import machines
from tests.backends import child

PACKAGES = dict.fromkeys(("onnxruntime", "torch", "onnx", "onnxscript"), "1.0")
INT8 = Options(precision="int8")
LEVELS = get_args(get_type_hints(Options)["graph_level"])

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

backend.load(UNDESCRIBED, backend.Options(), configured("onnxruntime"), folder).close()  # starts what starts once
before = threads()
for asked in (1, 3):
    config = configured("onnxruntime", asked)
    session = backend.load(UNDESCRIBED, backend.Options(), config, folder)
    told[f"{asked} threads"] = [backend.applied(session, backend.Options(), config), threads() - before]
    told["other"] = backend.applied(session, backend.Options(), configured("onnxruntime", 2))
    for rows in (1, 5):
        batch = session.convert((np.full((rows, 4), 3, np.float32), np.full((rows, 4), 1, np.float32)))
        told[f"{rows} rows"] = [array.tolist() for array in session.outputs(session(batch))]
    session.close()
    told["left"] = threads() - before

zipped = helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", classlabels_int64s=[3, 5, 7])
maps = helper.make_sequence_type_proto(helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, [])))
scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])
graph = helper.make_graph([zipped], "zipped", [scores], [helper.make_value_info("maps", maps)])
opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
(folder / "zipped").mkdir()
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), folder / "zipped" / backend.MODEL)
session = backend.load(UNDESCRIBED, backend.Options(), configured("onnxruntime"), folder / "zipped")
batch = session.convert((np.array([[0.5, 0.25, 0], [0, 0, 1]], np.float32),))
told["maps"] = [array.tolist() for array in session.outputs(session(batch))]
session.close()

plain, changed = backend.Options(), [
    {"graph_level": level} for level in ("disable", "basic", "extended", "layout")
] + [{"arena": False}, {"mem_pattern": False}, {"spinning": False}, {"denormals_as_zero": True}]
told["options"] = {}
for asked in changed:
    options = backend.Options(**asked)
    session, untouched = (backend.load(UNDESCRIBED, o, configured("onnxruntime", 2), folder) for o in (options, plain))
    told["options"][str(asked)] = [
        backend.applied(opened, options, configured("onnxruntime", 2)) for opened in (session, untouched)
    ]
    session.close(), untouched.close()

told["parallel"] = []
for asked in (1, 2, 4):
    options, config = backend.Options(execution="parallel"), configured("onnxruntime", asked)
    before = threads()
    session = backend.load(UNDESCRIBED, options, config, folder)
    told["parallel"].append([backend.applied(session, options, config), threads() - before])
    session.close()

import onnxruntime
def said(settings, name):
    value = getattr(settings, name)
    return getattr(value, "name", value)
told["defaults"] = {name: said(onnxruntime.SessionOptions(), name) for name in backend.attributes(plain, 1)}
told["levels"] = sorted(onnxruntime.GraphOptimizationLevel.__members__)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("onnxruntime"), "onnxruntime", "onnx")


def session(pool_threads: int, *providers: str) -> OrtSession:
    ort = SimpleNamespace(
        get_outputs=list,
        get_providers=lambda: list(providers),
        get_session_options=lambda: SimpleNamespace(**attributes(Options(), 2)),
        get_modelmeta=lambda: SimpleNamespace(producer_name="pytorch"),
    )
    return OrtSession(ort, [], pool_threads)


def with_packages(**versions: str) -> Hardware:
    return machines.hardware(2, packages=PACKAGES | versions)


# --------------------------------------------------------------------------------------------------- what can be had


def test_every_package_that_is_missing_is_named() -> None:
    hw = machines.hardware(2, packages={"torch": "1.0", "onnxruntime": "1.0"})
    assert unavailable(Options(), hw) == "onnx, onnxscript not installed; pip install onnx onnxscript"


@pytest.mark.parametrize("options", [Options(), INT8])
def test_a_file_needs_nothing_that_only_exporting_does(options: Options) -> None:
    assert unavailable(options, machines.hardware(2, packages={"onnxruntime": "1.0", "onnx": "1.0"})) is None


@pytest.mark.parametrize("level", LEVELS)
def test_int8_needs_a_level_at_which_it_is_made(level: Any) -> None:
    reason = unavailable(Options(precision="int8", graph_level=level), with_packages())
    assert (reason is not None) == (level in ("disable", "basic"))
    assert unavailable(Options(graph_level=level), with_packages()) is None


@pytest.mark.parametrize(("version", "offered"), [("1.13.1", True), ("1.14.0", False), ("1.31.1", False)])
def test_parallel_execution_is_offered_where_it_is_parallel(version: str, offered: bool) -> None:
    hw = with_packages(onnxruntime=version)
    reason = unavailable(Options(execution="parallel"), hw)
    assert (reason is None) == offered
    assert offered or f"onnxruntime {version} runs a CPU's operators one by one" in str(reason)
    assert unavailable(Options(), hw) is None


@pytest.mark.parametrize(
    ("architecture", "isa", "offered"),
    [("aarch64", ("bf16",), True), ("aarch64", ("asimd",), False), ("x86_64", ("avx512_bf16", "amx_bf16"), False)],
)
def test_fast_math_is_arms(architecture: str, isa: tuple[str, ...], offered: bool) -> None:
    hw = machines.hardware(2, architecture=architecture, isa=isa, packages=PACKAGES)
    assert (unavailable(Options(fast_math=True), hw) is None) == offered
    assert unavailable(Options(), hw) is None
    assert entries(Options(fast_math=True)) == {"mlas.enable_gemm_fastmath_arm64_bfloat16": "1"}


# --------------------------------------------------------------------------------------------------------- artifacts


def test_one_file_serves_every_batch_layout_and_session_option() -> None:
    changed: tuple[dict[str, Any], ...] = (
        {"graph_level": "basic"},
        {"execution": "parallel"},
        {"arena": False},
        {"mem_pattern": False},
        {"spinning": False},
        {"denormals_as_zero": True},
        {"fast_math": True},
    )
    for plain in (Options(), INT8):
        options = [plain, *(msgspec.structs.replace(plain, **change) for change in changed)]
        configs = [child.configured("onnxruntime", threads, batch_size) for threads in (1, 2) for batch_size in (1, 16)]
        assert len({cache_key(found, config, with_packages()) for found in options for config in configs}) == 1


def test_another_exporter_makes_another_file_and_another_runtime_does_not() -> None:
    config = child.configured("onnxruntime")
    for options, makers in ((Options(), {"torch", "onnx", "onnxscript"}), (INT8, {"onnxruntime", "onnx"})):
        first = cache_key(options, config, with_packages())
        again = {name for name in PACKAGES if cache_key(options, config, with_packages(**{name: "2.0"})) != first}
        assert again == makers


def test_int8_is_made_from_float32_as_the_cpu_asks() -> None:
    assert (source(Options()), source(INT8)) == (None, ("onnxruntime", {"precision": "float32"}))
    machines_ = [
        machines.hardware(2, architecture=architecture, isa=isa, packages=PACKAGES)
        for architecture, isa in (("x86_64", ("avx2",)), ("x86_64", ("avx512_vnni",)), ("aarch64", ("i8mm",)))
    ]
    assert len({cache_key(INT8, child.configured("onnxruntime"), hw) for hw in machines_}) == 3
    assert len({cache_key(Options(), child.configured("onnxruntime"), hw) for hw in machines_}) == 1
    assert [tuple(_onnx.recipe(hw).values()) for hw in machines_] == [
        ("QUInt8", "QInt8", True),
        ("QUInt8", "QInt8", False),
        ("QInt8", "QInt8", False),
    ]


# ----------------------------------------------------------------------------------------------------------- sessions


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


def test_mappings_of_classes_are_rows_of_scores(told: dict[str, Any]) -> None:
    assert told["maps"] == [[[0.5, 0.25, 0], [0, 0, 1]]]


def test_defaults_are_the_runtimes_own(told: dict[str, Any]) -> None:
    ours = attributes(Options(), 1)
    assert {name for name in ours if ours[name] != told["defaults"][name]} == {
        "intra_op_num_threads",
        "inter_op_num_threads",
    }
    assert entries(Options()) == {}
    levels = [attributes(Options(graph_level=level), 1)["graph_optimization_level"] for level in LEVELS]
    assert sorted(map(str, levels)) == told["levels"]


def test_every_option_is_read_back(told: dict[str, Any]) -> None:
    assert len(told["options"]) == 8
    for asked, (reason, untouched) in told["options"].items():
        assert reason is None, asked
        assert untouched is not None and "\n" not in untouched, asked


def test_parallel_execution_keeps_the_workers_threads(told: dict[str, Any]) -> None:
    assert told["parallel"] == [[None, 1], [None, 2], [None, 4]]
