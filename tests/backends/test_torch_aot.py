from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.backends import torch_compile
from autotune.backends.torch_aot import Options, cache_key, launch, unavailable
from autotune.core.machine import Hardware
from tests import machines
from tests.backends import child

HW = machines.hardware(2, packages={"torch": "2.13.0"}, compiler="/usr/bin/g++")

CHILD = """
import tempfile
import torch
from autotune.backends import torch_aot as backend
from tests.backends.tiny_torch import Workload

os.environ["TMPDIR"] = str(folder / "temporary")
os.mkdir(os.environ["TMPDIR"])
HW = type("Hardware", (), {"packages": {}})

def made(name, threads, **options):
    made = folder / name
    made.mkdir()
    options, config = backend.Options(**options), configured("torch_aot", threads, **options)
    backend.prepare(Workload(name), options, config, HW, made, None)
    return made, options, config

images, options, config = made("images", threads=2, freezing=True, memory_format="channels_last")
told["files"] = [path.name for path in images.iterdir()]
told["nothing loaded"] = backend.applied(None, options, config)
session = backend.load(None, options, config, images)  # without the model: the package is all that it needs
told["loaded on"] = torch.get_num_threads()
told["images"] = [Workload("images").error(session, rows) for rows in (1, 2, 5)]  # the model itself on one thread
told["other threads"] = backend.applied(session, options, config)
torch.set_num_threads(2)
told["proven"] = backend.applied(session, options, config)
told["threads"] = backend.applied(session, options, configured("torch_aot", threads=1))
told["options"] = backend.applied(session, backend.Options(memory_format="channels_last"), config)
told["left"] = [name for name in os.listdir(os.environ["TMPDIR"])]
told["same place"] = os.environ["TMPDIR"] == str(folder / "temporary")

# What would be compiled is enough for another precision.
def half(program, **_):
    answers = program.module()(*map(torch.from_numpy, Workload("words").arrays(2)))
    told["half"] = [str(tensor.dtype) for tensor in answers]

torch._inductor.aoti_compile_and_package = half
made("words", threads=2, precision="bfloat16")
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, inductor: Path) -> dict[str, object]:
    env: dict[str, str | None] = {"TORCHINDUCTOR_CACHE_DIR": str(inductor)}
    return child.told(CHILD, tmp_path_factory.mktemp("aot"), "torch", env=env)


def with_(**changes: object) -> Hardware:
    return msgspec.structs.replace(HW, **changes)


def test_it_needs_what_inductor_needs() -> None:
    assert unavailable(Options(freezing=True), HW) is None
    for hw in (with_(compiler=None), with_(packages={})):
        assert unavailable(Options(), hw) == torch_compile.unavailable(torch_compile.Options(), hw) is not None
    assert "this CPU has none" in (unavailable(Options(precision="bfloat16"), HW) or "")


def test_inductors_cache_is_inside_ours() -> None:
    asked = launch(Options(), child.configured("torch_aot"), HW).env
    assert asked == dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"), "{cache}/inductor")


def test_one_package_serves_every_batch_size_and_not_every_layout() -> None:
    first = cache_key(Options(), child.configured("torch_aot"), HW)
    assert cache_key(Options(), child.configured("torch_aot", batch_size=16), HW) == first
    assert cache_key(Options(), child.configured("torch_aot", threads=2), HW) != first


def test_a_package_is_for_its_options_its_makers_and_its_cpu() -> None:
    config = child.configured("torch_aot")
    options = (Options(), Options(freezing=True), Options(memory_format="channels_last"), Options(precision="bfloat16"))
    others = (
        with_(packages={"torch": "2.14.0"}),
        with_(compiler="/usr/bin/clang++"),
        with_(isa=("avx2", "avx512f")),
        with_(cpu_model="another"),
        with_(architecture="aarch64"),
    )
    keys = [cache_key(chosen, config, HW) for chosen in options] + [cache_key(Options(), config, hw) for hw in others]
    assert len(set(map(msgspec.json.encode, keys))) == len(options) + len(others)


def test_a_package_answers_as_the_model_does_at_every_batch_size(told: dict[str, list[float]]) -> None:
    assert max(told["images"]) < 1e-8


def test_bfloat16_is_in_the_program_that_is_compiled(told: dict[str, object]) -> None:
    assert told["half"] == ["torch.bfloat16", "torch.float32"]


def test_an_artifact_is_the_package_alone(told: dict[str, object]) -> None:
    assert told["files"] == ["model.pt2"]


def test_nothing_unpacked_is_left_behind(told: dict[str, object]) -> None:
    assert told["left"] == []
    assert told["same place"]


def test_a_package_proves_what_it_was_made_for(told: dict[str, object]) -> None:
    assert told["nothing loaded"] == "no library of an AOTInductor package is loaded"
    assert (told["loaded on"], told["proven"]) == (2, None)
    assert told["threads"] == "the package was made with threads 2, not 1"
    assert told["options"] == "the package was made with freezing True, not False"
    assert told["other threads"] == "torch runs 1 threads, not 2"
