from __future__ import annotations

from pathlib import Path

import pytest

from autotune.backends import torch_compile
from autotune.backends.torch_int8 import Options, cache_key, launch, unavailable
from autotune.core.machine import Hardware
from tests import machines
from tests.backends import child

PACKAGES = {"torch": "2.13.0", "torchao": "0.18.0"}
TUNED = Options(mode="max-autotune", memory_format="channels_last")


def hardware(isa: tuple[str, ...] = ("avx512_vnni",), **changes: object) -> Hardware:
    settings: dict[str, object] = {"packages": PACKAGES, "compiler": "/usr/bin/g++", "isa": isa, **changes}
    return machines.hardware(2, **settings)  # type: ignore[arg-type]


START = """
import torch
import torch.ao.quantization.fx._decomposed
from torch._dynamo.utils import counters
from autotune.backends import torch_compile
from autotune.backends import torch_int8 as backend
from tests.backends.tiny_torch import Workload

def made(name, **options):
    made = folder / name
    made.mkdir()
    options, config = backend.Options(**options), configured("torch_int8", **options)
    backend.prepare(Workload(name), options, config, this_machine, made, None)
    return made, options, config
"""

CHILD = (
    START
    + """
plain = torch_compile.CompiledSession(Workload("dense").module(), backend.Options())
plain(plain.convert(Workload("dense").arrays(2)))
told["float"] = backend.applied(plain, backend.Options(), configured("torch_int8"))

for name, memory_format, sizes in (("images", "channels_last", (4, 1)), ("words", "contiguous", (4,))):
    counters.clear()
    prepared, options, config = made(name, memory_format=memory_format)
    told[f"{name} files"] = [path.name for path in prepared.iterdir()]
    weights = torch.export.load(prepared / backend.PROGRAM).state_dict.values()
    told[f"{name} matrices"] = sorted({str(weight.dtype) for weight in weights if weight.ndim > 1})
    session = backend.load(None, options, config, prepared)
    told[name] = [Workload(name).error(session, rows) for rows in sizes]
    told[f"{name} proven"] = backend.applied(session, options, config)
    told[f"{name} threads"] = backend.applied(session, options, configured("torch_int8", threads=2))

# Arm's quantizer is only made and asked what it would do.
from tests.backends.test_torch_int8 import hardware

for name, hw in {
    "vnni": hardware(), "avx2": hardware(("avx2",)), "arm": hardware(("i8mm",), architecture="aarch64")
}.items():
    made = backend.quantizer(hw)
    spec = made.global_config.input_activation
    told[name] = [type(made).__name__, str(spec.dtype), spec.quant_min, spec.quant_max, spec.is_dynamic]
"""
)

WORDS = (
    START
    + """
prepared, options, config = made("words")
told["error"] = Workload("words").error(backend.load(None, options, config, prepared), 4)
"""
)


@pytest.fixture(scope="module")
def env(inductor: Path) -> dict[str, str | None]:
    return {
        **launch(Options(), child.configured("torch_int8"), hardware()).env,
        **dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"), str(inductor)),
    }


@pytest.fixture(scope="module")
def told(env: dict[str, str | None], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return child.told(CHILD, tmp_path_factory.mktemp("int8"), "torch", "torchao", env=env)


def test_it_needs_torchao_a_compiler_and_a_quantizer() -> None:
    assert unavailable(TUNED, hardware()) is None
    assert unavailable(Options(), hardware(architecture="aarch64")) is None
    assert unavailable(Options(), hardware(packages={"torch": "2.13.0"})) == (
        "torchao not installed; pip install torchao"
    )
    without = hardware(compiler=None)
    assert unavailable(Options(), without) == torch_compile.unavailable(torch_compile.Options(), without) is not None
    assert unavailable(Options(), hardware(architecture="riscv64")) == (
        "torchao has inductor quantizers for x86_64 and aarch64 only; this machine is riscv64"
    )


def test_it_is_compiled_with_freezing() -> None:
    config = child.configured("torch_int8")
    assert launch(Options(), config, hardware()).env["TORCHINDUCTOR_FREEZING"] == "1"
    assert launch(Options(), config, hardware()).env["TORCHINDUCTOR_MAX_AUTOTUNE"] == "0"
    assert launch(TUNED, config, hardware()).env["TORCHINDUCTOR_MAX_AUTOTUNE"] == "1"


def test_one_program_serves_every_batch_layout_and_way_to_run_it() -> None:
    configs = [child.configured("torch_int8", threads, batch) for threads in (1, 2) for batch in (1, 16)]
    keys = {cache_key(options, config, hardware()) for config in configs for options in (Options(), TUNED)}
    assert len(keys) == 1


def test_another_recipe_or_maker_makes_another_program() -> None:
    machines_ = (
        hardware(),
        hardware(("avx2",)),
        hardware(("i8mm",), architecture="aarch64"),
        hardware(packages=PACKAGES | {"torch": "2.14.0"}),
        hardware(packages=PACKAGES | {"torchao": "0.19.0"}),
    )
    config = child.configured("torch_int8")
    assert len({cache_key(Options(), config, hw) for hw in machines_}) == len(machines_)


def test_each_architecture_has_its_quantizer(told: dict[str, object]) -> None:
    assert told["vnni"] == ["X86InductorQuantizer", "torch.uint8", 0, 255, False]
    assert told["avx2"] == ["X86InductorQuantizer", "torch.uint8", 0, 127, False]
    assert told["arm"] == ["ArmInductorQuantizer", "torch.int8", -128, 127, False]


def test_a_quantised_model_answers_nearly_as_the_model_does(told: dict[str, list[float]]) -> None:
    for name in ("images", "words"):
        assert 1e-8 < max(told[name]) < 1e-2


def test_answers_are_kept_without_vnni_too(env: dict[str, str | None], tmp_path: Path) -> None:
    assert child.told(WORDS, tmp_path, "torch", "torchao", env=env | child.HELD)["error"] < 1e-2


def test_an_artifact_is_the_program_alone(told: dict[str, object]) -> None:
    assert told["images files"] == told["words files"] == ["quantized.pt2"]


def test_no_float_weight_is_kept_beside_its_quantised_one(told: dict[str, object]) -> None:
    assert told["images matrices"] == ["torch.int8"]
    assert told["words matrices"] == ["torch.float32", "torch.int8"]  # an embedding is not quantised


def test_the_compiled_graph_is_searched_for_quantised_operators(told: dict[str, object]) -> None:
    assert told["float"] == "no operation of the compiled graph runs in int8"
    for name in ("images", "words"):
        assert told[f"{name} proven"] is None
        assert told[f"{name} threads"] == "torch runs 1 threads, not 2"
