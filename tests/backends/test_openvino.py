from __future__ import annotations

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


def compiled(threads: int, *precisions: str, **other: Any) -> OpenvinoSession:
    """A session whose compiled model says this of itself."""
    properties = settings(Options(), threads) | other
    said = [SimpleNamespace(astype=lambda _, name=name: name) for name in precisions]
    kinds = {name: SimpleNamespace(astype=lambda _, name=name: name) for name in ("Input", "Convolution")}
    infos = [{"runtimePrecision": one, "layerType": kinds["Convolution"]} for one in said]
    infos.append({"runtimePrecision": SimpleNamespace(astype=lambda _: "f16"), "layerType": kinds["Input"]})
    ops = [SimpleNamespace(get_rt_info=lambda info=info: info) for info in infos]
    model = SimpleNamespace(
        create_infer_request=lambda: None,
        inputs=(),
        get_property=properties.__getitem__,
        get_runtime_model=lambda: SimpleNamespace(get_ops=lambda: ops),
    )
    return OpenvinoSession(model, "none", [])


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
