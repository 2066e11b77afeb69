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
from autotune.core.errors import ModelError
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

plain, changed = backend.Options(), [
    {"graph_level": level} for level in ("disable", "basic", "extended", "layout")
] + [{"arena": False}, {"mem_pattern": False}, {"spinning": False}, {"denormals_as_zero": True}]
told["options"] = {}
for asked in changed:
    options = backend.Options(**asked)
    session, untouched = (backend.load(None, o, configured("onnxruntime", 2), folder) for o in (options, plain))
    told["options"][str(asked)] = [
        backend.applied(opened, options, configured("onnxruntime", 2)) for opened in (session, untouched)
    ]
    session.close(), untouched.close()

told["parallel"] = []
for asked in (1, 2, 4):
    options, config = backend.Options(execution="parallel"), configured("onnxruntime", asked)
    before = threads()
    session = backend.load(None, options, config, folder)
    told["parallel"].append([backend.applied(session, options, config), threads() - before])
    session.close()

import onnxruntime
def said(settings, name):
    value = getattr(settings, name)
    return getattr(value, "name", value)
told["defaults"] = {name: said(onnxruntime.SessionOptions(), name) for name in backend.attributes(plain, 1)}
told["levels"] = sorted(onnxruntime.GraphOptimizationLevel.__members__)
"""

FILES = """
from types import SimpleNamespace
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from autotune.backends import _onnx
from autotune.backends import onnxruntime as backend
from autotune.core.errors import ModelError
from tests import machines

rng = np.random.default_rng(0)

def saved(name, batch):
    weights = {"w": rng.normal(0, 0.3, (8, 3, 3, 3)), "b": rng.normal(0, 0.1, 8), "dense": rng.normal(0, 0.1, (512, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["answer"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    ports = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 8, 8])]
    graph = helper.make_graph(nodes, "tiny", ports, [helper.make_tensor_value_info("answer", 1, [batch, 4])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / name / "net.onnx"
    path.parent.mkdir()
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=64)
    return path

def workload(path):
    images = np.random.default_rng(1).normal(size=(200, 3, 8, 8)).astype(np.float32)
    rows = lambda count: (images[:count],)
    return SimpleNamespace(form="onnx", file=lambda: path, arrays=rows, calibration=rows)

def answers(made, batch_size, **asked):
    options, config = backend.Options(**asked), configured("onnxruntime", 1, batch_size)
    session = backend.load(None, options, config, made)
    reason = backend.applied(session, options, config)
    (answer,) = session.outputs(session(session.convert(workload(None).arrays(batch_size))))
    return answer, reason

int8 = backend.Options(precision="int8")
told["int8"] = []
for name, batch, size in (("free", "batch", 16), ("fixed", 3, 3)):
    plain = folder / f"{name}_float32"
    plain.mkdir()
    given = workload(saved(name, batch))
    backend.prepare(given, backend.Options(), configured("onnxruntime"), this_machine, plain, None)
    told[name] = {"files": sorted(path.name for path in plain.iterdir())}
    exact, _ = answers(plain, size)
    for kind, hw in (("int8", this_machine), ("avx2", machines.hardware(1, isa=("avx2",)))):
        quantised = folder / f"{name}_{kind}"
        quantised.mkdir()
        backend.prepare(given, int8, configured("onnxruntime"), hw, quantised, plain)
        close, reason = answers(quantised, size, precision="int8")
        weights = map(numpy_helper.to_array, onnx.load(quantised / backend.MODEL).graph.initializer)
        told["int8"].append({
            "saturates": hw.saturates,
            "left": sorted(path.name for path in quantised.iterdir()),
            "reason": reason,
            "error": float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum()),
            "equal": bool((close == exact).all()),
            "largest": max(int(abs(array.astype(int)).max()) for array in weights if array.dtype == np.int8),
        })
    told[name]["not quantised"] = answers(plain, size, precision="int8")[1]
    try:
        told[name]["another batch"] = list(answers(plain, 2)[0].shape)
    except ModelError as error:
        told[name]["another batch"] = str(error)
feed = {"image": workload(None).arrays(1)[0]}
told["operators"] = sorted(_onnx.executed(folder / "free_int8" / backend.MODEL, feed, folder))
told["exact operators"] = sorted(_onnx.executed(folder / "free_float32" / backend.MODEL, feed, folder))

identity = helper.make_graph(
    [helper.make_node("Neg", ["image"], ["answer"])], "neg",
    *([helper.make_tensor_value_info(name, 1, ["batch", 3, 8, 8])] for name in ("image", "answer")),
)
(folder / "neg").mkdir()
onnx.save(helper.make_model(identity, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "neg/m.onnx")
try:
    _onnx.quantize(workload(None), this_machine, folder / "neg" / "m.onnx", folder / "neg" / "int8.onnx")
except ModelError as error:
    told["nothing to quantise"] = str(error)

model = onnx.load(folder / "free" / "net.onnx", load_external_data=False)
for tensor in model.graph.initializer:
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = "../free/weights.bin"
(folder / "away").mkdir()
onnx.save(model, folder / "away" / "net.onnx")
try:
    _onnx.copy(folder / "away" / "net.onnx", folder / "away.onnx")
except ModelError as error:
    told["data elsewhere"] = str(error)
"""

EXPORTS = """
from types import SimpleNamespace
import torch
from autotune.backends import onnxruntime as backend
from autotune.core.errors import ModelError

class Fixed(torch.nn.Module):
    def forward(self, x):
        return torch.stack([x[i] * 2 for i in range(x.shape[0])])

(folder / "asking.py").write_text('''
from torch import nn

class Asks(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x
''')
sys.path.append(str(folder))
from asking import Asks

class Decomposes(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x)[1]

class Provided:
    form = "module"

    def __init__(self, module):
        self.module = lambda: module.eval()
    def file(self):
        return self.no_such_provider
    def arrays(self, rows):
        return (np.ones((rows, 4), np.float32),)

for module in (torch.nn.Linear(4, 2), Fixed(), Asks(), Decomposes()):
    try:
        backend.prepare(Provided(module), backend.Options(), configured("onnxruntime"), None, folder, None)
        told[type(module).__name__] = None
    except ModelError as error:
        told[type(module).__name__] = str(error)
    if told[type(module).__name__] is None:
        session = backend.load(None, backend.Options(), configured("onnxruntime", 1, 5), folder)
        told["shape"] = list(session.outputs(session(session.convert(Provided(None).arrays(5))))[0].shape)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("onnxruntime"), "onnxruntime", "onnx")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(FILES, tmp_path_factory.mktemp("files"), "onnxruntime", "onnx")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(EXPORTS, tmp_path_factory.mktemp("exports"), "onnxruntime", "torch", "onnxscript")


def session(pool_threads: int, *providers: str) -> OrtSession:
    ort = SimpleNamespace(
        get_inputs=list,
        get_providers=lambda: list(providers),
        get_session_options=lambda: SimpleNamespace(**attributes(Options(), 2)),
        get_modelmeta=lambda: SimpleNamespace(producer_name="pytorch"),
    )
    return OrtSession(ort, pool_threads)


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


def test_a_file_is_copied_with_its_external_data(files: dict[str, Any]) -> None:
    for name in ("free", "fixed"):
        assert files[name]["files"] == ["model.onnx", "weights.bin"]
    assert "'../free/weights.bin', outside its own folder" in files["data elsewhere"]


def test_int8_is_close_and_runs_in_int8(files: dict[str, Any]) -> None:
    for made in files["int8"]:
        assert made["reason"] is None
        assert made["error"] < 0.01 and not made["equal"]
        assert made["left"] == ["model.onnx"]
        # two products with a byte are summed up in 16 bits where nothing holds ONNX Runtime back
        assert made["largest"] * 255 * 2 < 2**15 or not made["saturates"]
    assert [made["saturates"] for made in files["int8"]][1::2] == [True, True]
    for name in ("free", "fixed"):
        assert "not quantised" in files[name]["not quantised"]
    assert "QLinearConv" in files["operators"] and "Conv" not in files["operators"]
    assert "Conv" in "".join(files["exact operators"])
    assert not any(name.startswith("Q") for name in files["exact operators"])


def test_a_model_with_nothing_to_quantise_says_so(files: dict[str, Any]) -> None:
    assert files["nothing to quantise"] == "no operator of the quantised model runs in int8; it runs Neg"


# ------------------------------------------------------------------------------------------------- the batch, exports


def test_a_fixed_batch_is_the_only_one(files: dict[str, Any]) -> None:
    assert files["free"]["another batch"] == [2, 4]
    assert files["fixed"]["another batch"] == (
        "the batch dimension cannot vary: the model takes batches of 3, not of 2; "
        "use batch_size: [3] or export it with a dynamic batch"
    )


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ([["batch", 4]], None),
        ([[None, 4]], None),
        ([[3, 4]], 3),
        ([[2], ["batch", 4]], None),
        ([[], [3, 4]], 3),
        ([[]], None),
        ([], None),
    ],
)
def test_the_batch_is_fixed_where_no_input_leaves_it_free(shapes: Any, size: int | None) -> None:
    if size is None:
        _onnx.check_batch(shapes, 7)
    else:
        _onnx.check_batch(shapes, size)
        with pytest.raises(ModelError, match="the batch dimension cannot vary"):
            _onnx.check_batch(shapes, 7)


def test_a_module_is_exported_with_a_free_batch(exports: dict[str, Any]) -> None:
    assert exports["Linear"] is None
    assert exports["shape"] == [5, 2]


def test_code_that_fixes_the_batch_is_found_out(exports: dict[str, Any]) -> None:
    assert exports["Fixed"] == ("the batch dimension cannot vary: the model's code fixes it to 2 when it is exported")


def test_an_export_that_fails_names_the_place_in_one_line(exports: dict[str, Any]) -> None:
    for name, place in (
        ("Asks", "asking.py, line 6, `return x if x.sum() > 0 else -x`: "),
        ("Decomposes", "torch.ops.aten._linalg_svd.default"),
    ):
        assert exports[name].startswith("the model cannot be exported to ONNX: ") and "\n" not in exports[name]
        assert place in exports[name]


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
