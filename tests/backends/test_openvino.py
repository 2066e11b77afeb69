from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from autotune.backends.openvino import (
    OpenvinoSession,
    Options,
    applied,
    cache_key,
    domains,
    settings,
    source,
    unavailable,
)
from autotune.core import plugins
from autotune.core.machine import Hardware
from autotune.hardware import probe
from autotune.launch import environment
from autotune.space import configs
from autotune.space import values as setting
from tests import machines
from tests.backends import child

PACKAGES = dict.fromkeys(("openvino", "torch", "onnx", "onnxscript", "nncf"), "1.0")
INT8 = Options(precision="int8")
BFLOAT16 = Options(precision="bfloat16")
FLOAT16 = Options(precision="float16")
AMX = machines.hardware(4, isa=("amx_bf16",), packages=PACKAGES)

START = """
import openvino
from openvino import opset13
from autotune.backends import openvino as backend

def save(rows, size, layers):
    given = opset13.parameter([rows, size], np.float32)
    last = given
    for _ in range(layers):
        last = opset13.matmul(last, 2 * np.eye(size, dtype=np.float32), False, False)
    openvino.save_model(openvino.Model([last], [given], "double"), folder / backend.MODEL, compress_to_fp16=False)

def load(threads=1, batch_size=2, **options):
    config = configured("openvino", threads, batch_size, **options)
    return backend.load(None, backend.Options(**options), config, folder)

def reason(session, threads=1, **options):
    return backend.applied(session, backend.Options(**options), configured("openvino", threads, **options))

def answers(session, rows, size):
    return session.outputs(session(session.convert((np.full((rows, size), rows, np.float32),))))[0]
"""

CHILD = (
    START
    + """
save(-1, 4, 1)
session = load()
told["float32"], told["int8"], told["bfloat16"] = reason(session), *(
    reason(session, precision=precision) for precision in ("int8", "bfloat16")
)
told["streams"] = hasattr(session, "stream")
told["kept"] = [answers(session, rows, 4).tolist() for rows in (1, 3, 2)]
names = ("PERFORMANCE_HINT", "NUM_STREAMS", "ENABLE_CPU_PINNING", "INFERENCE_NUM_THREADS")
told["plain"] = {name: session.compiled.get_property(name) for name in names}
session.close()

cores = len(os.sched_getaffinity(0))
told["cores"] = cores
changed = [{"hint": "latency"}, {"hint": "throughput"}, {"pinning": True}, {"streams": 2}, {"streams": cores}]
changed += [{"requests": 2}, {"requests": 5, "streams": 2}, {"requests": 0, "hint": "throughput"}]
changed += [{"requests": 0, "hint": "latency"}]
told["options"] = []
for asked in changed:
    for threads in {1, cores}:
        session, plain = load(threads, **asked), load(threads)
        kept = [answers(session, rows, 4).tolist() for rows in (1, 3, 2)]
        proofs = [reason(session, threads, **asked)]
        if "requests" not in asked:
            proofs.append(reason(plain, threads, **asked))
        told["options"].append([asked, threads, *proofs, kept == told["kept"]])
        told.setdefault("flags", {})[asked.get("hint", "none")] = session.flags()
        session.close(), plain.close()

save(3, 4, 1)
session = load(batch_size=3)
told["fixed"] = answers(session, 3, 4).shape[0]
try:
    load(batch_size=2)
except Exception as error:
    told["another batch"] = f"{type(error).__name__}: {error}"
"""
)

STREAM = (
    START
    + """
import time
save(-1, 512, 8)
batch = None
for requests in (1, 3, 0):
    options = {"requests": requests} | ({} if requests else {"hint": "throughput"})
    session = load(len(os.sched_getaffinity(0)), **options)
    batch = session.convert((np.ones((64, 512), np.float32),))
    told[f"{requests} before"] = len(session.outputs(session(batch)))
    if requests == 1:
        session.close()
        continue
    begin = time.monotonic_ns()
    stop = begin + 300_000_000
    calls, others = session.stream(batch, stop)
    told[str(requests)] = {
        "begin": begin, "stop": stop, "end": time.monotonic_ns(), "others": others, "size": session.requests,
        "advised": session.compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"),
        "calls": [list(call[:3]) for call in calls],
        "late": session.stream(batch, time.monotonic_ns() - 1)[0],
        "after": session.outputs(session(batch))[0][0, 0].item(),
    }
    session.close()

class Lonely(backend.QueuedSession):
    requests = 2

backend.OVERLAP_S = 0.2
session = Lonely(load().compiled, "none", 1)
session(batch)
told["one request of two"] = session.overlap()
session.close()
"""
)

CONVERT = """
from types import SimpleNamespace
import onnx
from onnx import helper, numpy_helper
from autotune.backends import onnxruntime, openvino as backend

rng = np.random.default_rng(0)
images = rng.normal(size=(200, 3, 8, 8)).astype(np.float32)
given = SimpleNamespace(form="onnx", file=lambda: folder / "net.onnx", calibration=lambda rows: (images[:rows],))

def answers(made, size, **asked):
    config = configured("openvino", 1, size)
    session = backend.load(None, backend.Options(**asked), config, made)
    (answer,) = session.outputs(session(session.convert((images[:size],))))
    return answer, backend.applied(session, backend.Options(**asked), config)

for name, batch, size in (("free", "batch", 16), ("fixed", 3, 3)):
    weights = {"w": rng.normal(0, 0.3, (8, 3, 3, 3)), "dense": rng.normal(0, 0.1, (512, 4))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["wide"], ["positive"]),
        helper.make_node("Flatten", ["positive"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["answer"]),
    ]
    tensors = [numpy_helper.from_array(value.astype(np.float32), key) for key, value in weights.items()]
    ports = {"image": [batch, 3, 8, 8], "answer": [batch, 4]}
    inputs, outputs = ([helper.make_tensor_value_info(key, 1, ports[key])] for key in ports)
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "net.onnx")
    made = [folder / f"{name}_{kind}" for kind in ("onnx", "float32", "int8")]
    for path in made:
        path.mkdir()
    onnxruntime.prepare(given, onnxruntime.Options(), configured("onnxruntime"), this_machine, made[0], None)
    for precision, start, end in (("float32", *made[:2]), ("int8", *made[1:])):
        backend.prepare(given, backend.Options(precision=precision), configured("openvino"), this_machine, end, start)
    exact, reason = answers(made[1], size)
    close, quantised = answers(made[2], size, precision="int8")
    error = float(((close - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())
    told[name] = [reason, quantised, error, bool((close == exact).all())]
    if BFLOAT16:
        rounded, reason = answers(made[1], size, precision="bfloat16")
        error = float(((rounded - exact) ** 2).sum() / ((exact - exact.mean(0)) ** 2).sum())
        told[f"{name} bfloat16"] = [reason, answers(made[1], size)[1], error, bool((rounded == exact).all())]
"""


TRACE = """
from autotune.backends import openvino as backend
from tests.backends.tiny_torch import Workload

def made(name, precision="float32"):
    end, start = folder / f"{name}_{precision}", folder / f"{name}_float32"
    end.mkdir()
    options = backend.Options(frontend="torch", precision=precision)
    given = Workload(name)
    backend.prepare(given, options, configured("openvino"), this_machine, end, start)
    session = backend.load(given, options, configured("openvino"), end)
    errors = [given.error(session, rows) for rows in ((4,) if name == "branching" else (4, 1))]
    told[f"{name} {precision}"] = [backend.applied(session, options, configured("openvino")), *errors]

for name in ("images", "words"):
    made(name)
    made(name, "int8")
made("branching")
told["fixed"], told["no trace"] = failure(made, "fixed"), failure(made, "broken")
"""


def compiled(threads: int, *precisions: str, **other: Any) -> OpenvinoSession:
    """A session whose compiled model says this of itself."""
    properties = settings(Options(), threads) | other
    said = [SimpleNamespace(astype=lambda _, name=name: name) for name in precisions]
    ops = [SimpleNamespace(get_rt_info=lambda said=said: {"runtimePrecision": said}) for said in said]
    model = SimpleNamespace(
        create_infer_request=lambda: None,
        get_property=properties.__getitem__,
        get_runtime_model=lambda: SimpleNamespace(get_ops=lambda: ops),
    )
    return OpenvinoSession(model, "none")


def with_packages(**versions: str) -> Hardware:
    return machines.hardware(2, packages=PACKAGES | versions)


# --------------------------------------------------------------------------------------------------- what can be had


def test_only_int8_needs_nncf() -> None:
    without = machines.hardware(2, packages={name: "1.0" for name in PACKAGES if name != "nncf"})
    assert unavailable(Options(), without) is None
    assert unavailable(INT8, without) == "nncf not installed; pip install nncf"


def test_a_file_needs_nothing_that_only_exporting_does() -> None:
    assert unavailable(Options(), machines.hardware(2, packages={"openvino": "1.0", "onnx": "1.0"})) is None


@pytest.mark.parametrize("isa", ["amx_bf16", "avx512_bf16"])
def test_bfloat16_needs_instructions(isa: str) -> None:
    assert unavailable(BFLOAT16, machines.hardware(2, isa=(isa,), packages=PACKAGES)) is None
    reason = unavailable(BFLOAT16, machines.hardware(2, isa=("avx512_vnni",), packages=PACKAGES))
    assert reason == "OpenVINO's bfloat16 needs AMX or AVX512_BF16; this CPU has neither"


def test_half_precision_is_bfloat16_on_x86_and_float16_on_arm() -> None:
    arm = machines.hardware(2, architecture="aarch64", isa=("bf16", "sve2"), packages=PACKAGES)
    assert unavailable(FLOAT16, arm) is None
    assert str(unavailable(BFLOAT16, arm)).endswith("; write float16")
    assert unavailable(FLOAT16, AMX) == "OpenVINO's float16 is for Arm CPUs; this machine is x86_64"


def test_a_traced_module_needs_torch_and_no_onnx() -> None:
    without = machines.hardware(2, packages={"openvino": "1.0", "torch": "1.0"})
    assert unavailable(Options(frontend="torch"), without) is None
    assert unavailable(Options(), without) == "onnx, onnxscript not installed; pip install onnx onnxscript"
    alone = machines.hardware(2, packages={"openvino": "1.0"})
    assert unavailable(Options(frontend="torch"), alone) == "torch not installed; pip install torch"


@pytest.mark.parametrize("hint", ["latency", "throughput"])
def test_a_hint_and_streams_exclude_each_other(hint: Any) -> None:
    reason = unavailable(Options(hint=hint, streams=2), AMX)
    assert reason == f"hint {hint} chooses the streams itself; use streams 1 or hint none"
    assert unavailable(Options(hint=hint), AMX) is None
    assert unavailable(Options(streams=2), AMX) is None


def test_only_a_hint_advises_requests() -> None:
    assert unavailable(Options(hint="throughput", requests=0), AMX) is None
    assert "requests 0" in str(unavailable(Options(requests=0), AMX))


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))]
)
def test_counts_go_up_to_the_cores(cores: int, counts: tuple[int, ...]) -> None:
    found = domains(machines.hardware(cores, smt=2))
    assert found == {"streams": counts, "requests": (*counts, 0)}
    for name, values in found.items():
        kind = setting.kinds(Options)[name]
        assert [msgspec.convert(value, kind) for value in values] == list(values)
    for wrong in ({"streams": 0}, {"requests": -1}):
        with pytest.raises(msgspec.ValidationError):
            plugins.backend_options("openvino", dict(wrong))


# --------------------------------------------------------------------------------------------------------- artifacts


def test_int8_comes_from_float32_and_that_from_onnx() -> None:
    chain, step = [], source(INT8)
    while step is not None:
        chain.append(step)
        step = plugins.load("backends", step[0]).source(plugins.backend_options(step[0], dict(step[1])))
    assert chain == [
        ("openvino", {"precision": "float32", "frontend": "onnx"}),
        ("onnxruntime", {"precision": "float32"}),
    ]
    traced = {"precision": "float32", "frontend": "torch"}
    assert source(Options(precision="int8", frontend="torch")) == ("openvino", traced)
    assert source(Options(frontend="torch")) is None


def test_one_model_serves_every_batch_layout_and_way_to_run_it() -> None:
    changed: tuple[dict[str, Any], ...] = ({"hint": "latency"}, {"streams": 2}, {"requests": 4}, {"pinning": True})
    for plain in (Options(), INT8):
        options = [plain, *(msgspec.structs.replace(plain, **change) for change in changed)]
        configs = [child.configured("openvino", threads, batch) for threads in (1, 2) for batch in (1, 16)]
        assert len({cache_key(found, config, with_packages()) for found in options for config in configs}) == 1


@pytest.mark.parametrize("half", [BFLOAT16, FLOAT16])
def test_half_precision_has_the_model_of_float32(half: Options) -> None:
    config = child.configured("openvino")
    assert source(half) == source(Options()) == ("onnxruntime", {"precision": "float32"})
    assert cache_key(half, config, AMX) == cache_key(Options(), config, AMX) != cache_key(INT8, config, AMX)


def test_a_model_is_made_again_for_another_version_of_its_maker() -> None:
    config = child.configured("openvino")
    traced = Options(frontend="torch")
    assert cache_key(traced, config, AMX) != cache_key(Options(), config, AMX)
    for options, makers in (
        (Options(), {"openvino"}),
        (traced, {"openvino", "torch"}),
        (INT8, {"openvino", "nncf"}),
        (msgspec.structs.replace(traced, precision="int8"), {"openvino", "torch", "nncf"}),
    ):
        first = cache_key(options, config, with_packages())
        again = {name for name in PACKAGES if cache_key(options, config, with_packages(**{name: "2.0"})) != first}
        assert again == makers


def test_only_int8_is_another_model_where_sums_saturate() -> None:
    for options, kinds in ((Options(), 1), (INT8, 2)):
        machines_ = [machines.hardware(2, isa=isa, packages=PACKAGES) for isa in (("avx2",), ("avx2", "avx512_vnni"))]
        assert len({cache_key(options, child.configured("openvino"), hw) for hw in machines_}) == kinds


def test_precisions_are_close_and_proven(tmp_path_factory: Any) -> None:
    can = unavailable(BFLOAT16, msgspec.structs.replace(probe.probe(), packages=PACKAGES)) is None
    script = CONVERT.replace("BFLOAT16", str(can))
    told = child.told(script, tmp_path_factory.mktemp("convert"), "openvino", "onnx", "nncf")
    assert set(told) == {"free", "fixed", *(("free bfloat16", "fixed bfloat16") if can else ())}
    for exact, changed, error, equal in told.values():
        assert (exact, changed) == (None, None)
        assert error < 0.01 and not equal


@pytest.mark.parametrize("env", [{}, child.HELD], ids=["this CPU", "AVX2"])
def test_a_traced_module_answers_as_it_does(tmp_path_factory: Any, env: dict[str, str | None]) -> None:
    told = child.told(TRACE, tmp_path_factory.mktemp("trace"), "openvino", "torch", "nncf", env=env)
    for name in ("images", "words"):
        reason, *errors = told[f"{name} float32"]
        assert reason is None and max(errors) < 1e-8
        reason, *errors = told[f"{name} int8"]
        assert reason is None and 1e-8 < max(errors) < 1e-2
    assert told["branching float32"][0] is None  # which torch.onnx refuses
    assert told["fixed"] == "the batch dimension cannot vary: the model's code fixes it to 2 when it is traced"
    assert told["no trace"].startswith("OpenVINO cannot take the torch module: tiny_torch.py, line ")


# --------------------------------------------------------------------------------------------------- launch, settings


@pytest.mark.parametrize("allocator", ["tcmalloc", "jemalloc", "mimalloc"])
def test_onetbb_does_not_bind_deeply_beside_a_preloaded_allocator(allocator: str) -> None:
    packages = PACKAGES | {"onnxruntime": "1.0"}
    hw = machines.hardware(2, packages=packages, libraries={allocator: f"/usr/lib/lib{allocator}.so"}, glibc="2.36")
    config = configs.configure(hw, batch_size=1, backend="openvino", knobs={"allocator": allocator})
    asked = environment.patch(config, hw)
    assert asked.preload == (f"/usr/lib/lib{allocator}.so",)
    assert asked.env["TBB_ENABLE_SANITIZERS"] == "1"


def test_defaults_are_one_stream_unpinned_in_float32() -> None:
    assert settings(Options(), 3) == {
        "INFERENCE_NUM_THREADS": 3,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": "f32",
    }


def test_threads_are_always_named_and_streams_only_without_a_hint() -> None:
    for options in (Options(hint="throughput"), Options(hint="latency"), Options(streams=4)):
        asked = settings(options, 3)
        assert asked["INFERENCE_NUM_THREADS"] == 3
        assert ("NUM_STREAMS" in asked) == (options.hint == "none") == ("PERFORMANCE_HINT" not in asked)
    assert settings(Options(streams=4), 3)["NUM_STREAMS"] == 3
    assert settings(BFLOAT16, 1)["INFERENCE_PRECISION_HINT"] == "bf16"
    assert settings(FLOAT16, 1)["INFERENCE_PRECISION_HINT"] == "f16"


@pytest.mark.parametrize(
    ("options", "session", "reason"),
    [
        (Options(), compiled(2, "f32", "i32"), None),
        (Options(), compiled(1, "f32"), "openvino runs 1 threads, not 2"),
        (Options(), compiled(2, "f32", "bf16"), "the compiled model runs in bf16, f32, not in float32"),
        (BFLOAT16, compiled(2, "f32", "bf16"), None),
        (FLOAT16, compiled(2, "f32", "f16"), None),
        (FLOAT16, compiled(2, "f32"), "no operation of the compiled model runs in float16; it runs in f32"),
        (BFLOAT16, compiled(2, "f32"), "no operation of the compiled model runs in bfloat16; it runs in f32"),
        (INT8, compiled(2, "f32", "u8"), None),
        (INT8, compiled(2, "f32", "i8"), None),
        (INT8, compiled(2, "bf16", "i8"), "the compiled model runs in bf16, i8, not in int8"),
        (INT8, compiled(2, "f32", "f32"), "no operation of the compiled model runs in int8; it runs in f32"),
        (Options(streams=2), compiled(2, "f32"), "openvino's NUM_STREAMS is 1, not 2"),
        (Options(streams=2), compiled(2, "f32", NUM_STREAMS=2), None),
        (Options(pinning=True), compiled(2, "f32"), "openvino's ENABLE_CPU_PINNING is False, not True"),
        (Options(), compiled(2, "f32", ENABLE_CPU_PINNING=True), "openvino's ENABLE_CPU_PINNING is True, not False"),
        (
            Options(hint="throughput"),
            compiled(2, "f32", PERFORMANCE_HINT="LATENCY"),
            "openvino's PERFORMANCE_HINT is LATENCY, not THROUGHPUT",
        ),
    ],
)
def test_properties_and_executed_precision_are_read_back(
    options: Options, session: OpenvinoSession, reason: str | None
) -> None:
    assert applied(session, options, child.configured("openvino", 2)) == reason


# ----------------------------------------------------------------------------------------------------------- sessions


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(CHILD, tmp_path_factory.mktemp("openvino"), "openvino")


def test_a_compiled_model_is_proven_and_its_outputs_outlive_the_next_call(told: dict[str, Any]) -> None:
    assert told["float32"] is None
    assert "no operation of the compiled model runs in int8" in told["int8"]
    assert "no operation of the compiled model runs in bfloat16" in told["bfloat16"]
    assert told["kept"] == [[[2.0 * rows] * 4] * rows for rows in (1, 3, 2)]
    assert told["streams"] is False
    assert (told["plain"]["NUM_STREAMS"], told["plain"]["ENABLE_CPU_PINNING"]) == (1, False)


def test_every_option_is_proven_and_changes_no_answer(told: dict[str, Any]) -> None:
    assert len(told["options"]) == 9 * len({1, told["cores"]})
    for asked, threads, *proofs, same in told["options"]:
        assert proofs[0] is None and same, asked
        changes = asked != {"hint": "latency"} and ("streams" not in asked or threads > 1)
        if len(proofs) == 2 and changes:
            assert proofs[1] is not None and "\n" not in proofs[1], asked


def test_what_a_hint_chose_is_told(told: dict[str, Any]) -> None:
    assert told["flags"]["none"] == []
    for hint in ("latency", "throughput"):
        assert re.fullmatch(r"openvino_hint: \d+ streams, \d+ requests advised", *told["flags"][hint])


def test_a_fixed_batch_is_the_only_one(told: dict[str, Any]) -> None:
    assert told["fixed"] == 3
    assert told["another batch"] == (
        "ModelError: the batch dimension cannot vary: the model takes batches of 3, not of 2; "
        "use batch_size: [3] or export it with a dynamic batch"
    )


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child.told(STREAM, tmp_path_factory.mktemp("stream"), "openvino")


@pytest.mark.parametrize("requests", ["3", "0"])
def test_calls_are_submitted_until_the_stop_and_all_end(streams: dict[str, Any], requests: str) -> None:
    found = streams[requests]
    assert found["size"] == (int(requests) or found["advised"])
    assert found["calls"] and found["others"] == 0 and found["late"] == []
    for begin, end, count in found["calls"]:
        assert found["begin"] <= begin < found["stop"] and begin < end <= found["end"] and count == 1.0
    assert found["after"] == 2.0**8


def test_requests_overlap_and_are_never_more_than_asked_for(streams: dict[str, Any]) -> None:
    found = streams["3"]["calls"]
    edges = sorted([(begin, 1) for begin, _, _ in found] + [(end, -1) for _, end, _ in found])
    in_flight, most = 0, 0
    for _, change in edges:
        in_flight += change
        most = max(most, in_flight)
    assert 2 <= most <= 3
    assert sum(end - begin for begin, end, _ in found) > max(e for _, e, _ in found) - min(b for b, _, _ in found)


def test_requests_that_cannot_overlap_are_found_out(streams: dict[str, Any]) -> None:
    assert streams["one request of two"] is False


@pytest.mark.parametrize(
    ("threads", "options", "reason"),
    [
        (2, {"streams": 2, "requests": 2}, None),
        (1, {"streams": 2, "requests": 2}, "a worker of 1 threads has no use for 2 streams"),
        (2, {"streams": 2}, "1 requests in flight cannot keep 2 streams busy"),
        (2, {"hint": "throughput", "requests": 0}, None),
    ],
)
def test_streams_without_threads_or_requests_do_nothing(
    threads: int, options: dict[str, Any], reason: str | None
) -> None:
    backend: Any = plugins.load("backends", "openvino")
    chosen = plugins.backend_options("openvino", options)
    assert backend.without_effect(chosen, child.configured("openvino", threads=threads, **options)) == reason
