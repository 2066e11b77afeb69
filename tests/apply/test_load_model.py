"""Loading a `best.json` in processes of its own, since no test imports a framework itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.apply.load_model import load
from autotune.core.best import Best
from autotune.core.errors import AutotuneError
from autotune.hardware import probe
from autotune.launch import environment
from tests.apply import tiny
from tests.place import Place

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

USE = """
import torch, net
images = torch.randn(3, 3, 8, 8)
with torch.no_grad():
    wanted = net.net()(images)

def used(by_name=True):
    model, warned = said(load, "best.json")
    got = model(images)
    arrays = model({"images": images.numpy()} if by_name else images.numpy())
    return {
        "warned": warned,
        "names": list(got),
        "close": all(torch.allclose(got[name], wanted[name], atol=1e-4) for name in wanted),
        "arrays": all(type(arrays[name]).__name__ == "ndarray" for name in wanted),
        "same": all(abs(arrays[name] - got[name].numpy()).max() < 1e-5 for name in wanted),
        "threads": torch.get_num_threads(),
    }

told |= used()
"""
GOOD = {"names": ["logits", "pooled"], "close": True, "arrays": True, "same": True}
OTHERS = """
told["strict"] = failure(load, "best.json", strict=True)
Path("best.json").write_text(Path("best.json").read_text().replace("net.py", "gone.py"))
told["gone"] = failure(load, "best.json")
"""


@pytest.fixture(scope="module")
def torch_model(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> dict[str, Any]:
    """All that is told of a torch model, loaded as it is, then strictly, then where its source is gone."""
    place = Place(tmp_path_factory.mktemp("torch"), shared / "cache")
    tiny.best(place.folder, options={"memory_format": "channels_last"})
    return tiny.told(place, USE + OTHERS)


def test_a_torch_model_answers_as_itself_whatever_it_is_given(torch_model: dict[str, Any]) -> None:
    assert torch_model.items() >= GOOD.items()
    assert torch_model["threads"] == 1


def test_what_a_running_process_cannot_take_on_is_one_warning(torch_model: dict[str, Any]) -> None:
    (warned,) = torch_model["warned"]
    assert warned.startswith("best.json: not in effect in this process: layout: ") and "\n" not in warned
    assert warned.endswith("start it as `python -m autotune run best.json -- PROGRAM`")


def test_strict_makes_it_an_error(torch_model: dict[str, Any]) -> None:
    assert "not in effect in this process: layout: " in torch_model["strict"]


def test_a_model_whose_source_is_gone_is_named(torch_model: dict[str, Any]) -> None:
    assert "gone.py" in torch_model["gone"] and "\n" not in torch_model["gone"]


def test_started_as_it_was_measured_there_is_nothing_to_say(place: Place) -> None:
    path = tiny.best(place.folder)
    best, hw = msgspec.json.decode(path.read_bytes(), type=Best), probe.probe()
    asked = environment.changed(environment.patch(best.config, hw), {}, str(place.cache))
    cpu = str(best.layout[0].cpus[0])
    script = USE + 'model, again = said(load, "best.json", strict=True)\ntold["again"] = again\n'
    found = tiny.told(place, script, before=("taskset", "-c", cpu), AUTOTUNE_RANK="0", **asked)
    assert found["warned"] == found["again"] == []
    assert found.items() >= GOOD.items()


def test_another_workers_rank_holds_its_own_cpus(place: Place) -> None:
    hw = probe.probe()
    if len(hw.cores) < 2:
        pytest.skip("needs two cores")
    path = tiny.best(place.folder, layout="2x1")
    best = msgspec.json.decode(path.read_bytes(), type=Best)
    asked = environment.changed(environment.patch(best.config, hw), {}, str(place.cache))
    cpu = str(best.layout[1].cpus[0])
    assert tiny.told(place, USE, before=("taskset", "-c", cpu), AUTOTUNE_RANK="1", **asked)["warned"] == []


# ------------------------------------------------------------------------------------------------ the prepared model

needs_onnxruntime = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnxruntime", "onnx", "onnxscript")), reason="needs onnxruntime"
)


PREPARED = """
import msgspec
from autotune.hardware import probe as hardware
from autotune.models import artifact_cache, artifacts
from autotune.apply import best_file
from autotune.core.rules import MeasureRules
path, cache = Path("best.json"), artifact_cache.default_folder()

def changed(**fields):
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(best_file.read(path), **fields)))

def measured():
    best = best_file.read(path)
    def refuse(*_): raise AssertionError("it is prepared already")
    ref = artifacts.ensure(best.workload, best.config, hardware.probe(), MeasureRules(), refuse, cache).ref
    return msgspec.structs.replace(ref, prepare_s=0.0)
"""
WITH_SOURCE = """
told["torch_exporter"] = "onnxscript" in sys.modules
kept = list(cache.glob("artifacts/*/model.onnx"))
for name, ref in {
    "another": {"key": "0" * 64, "sha256": "0" * 64},
    "other_files": {"sha256": "0" * 64},
    "found": {},
}.items():
    changed(artifact=msgspec.structs.replace(measured(), **ref))
    told[name] = used()
told["once"] = len(kept) == 1 and kept == list(cache.glob("artifacts/*/model.onnx"))
kept[0].write_bytes(b"damaged")
told["damaged"] = used()
changed(artifact=measured())
"""
WITHOUT_SOURCE = """
changed(artifact=msgspec.structs.replace(best_file.read(path).artifact, sha256="0" * 64))
told["other_digest"] = failure(load, "best.json")
"""


@dataclass(frozen=True)
class Prepared:
    """All that is told of a model that its backend prepares, with its source and once that is gone."""

    source: dict[str, Any]
    alone: dict[str, Any]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("prepared")
    place = Place(folder, folder / "own-cache")
    tiny.best(folder, "onnxruntime")
    source = tiny.told(place, USE + PREPARED + WITH_SOURCE)
    (folder / "net.py").rename(folder / "net2.py")
    alone = (
        USE.replace("net.net()", "net2.net()").replace("torch, net", "torch, net2").replace("used()\n", "used(False)\n")
    )
    return Prepared(source, tiny.told(place, alone + PREPARED + WITHOUT_SOURCE))


@needs_onnxruntime
def test_a_prepared_model_is_made_in_a_child_and_then_found(prepared: Prepared) -> None:
    first = prepared.source
    assert first.items() >= GOOD.items() and not first["torch_exporter"]
    assert first["found"].items() >= GOOD.items()
    assert first["found"]["warned"] == [first["warned"][0]]
    assert first["once"]


@needs_onnxruntime
def test_a_damaged_one_is_prepared_again(prepared: Prepared) -> None:
    assert prepared.source["damaged"].items() >= GOOD.items()


@needs_onnxruntime
def test_the_very_files_of_the_cache_serve_without_the_source(prepared: Prepared) -> None:
    assert prepared.alone.items() >= GOOD.items()
    assert "the prepared model is used alone, since " in prepared.alone["warned"][0]


@needs_onnxruntime
def test_another_digest_than_the_measured_one_is_no_model_without_the_source(prepared: Prepared) -> None:
    assert "cannot be read" in prepared.alone["other_digest"]


@needs_onnxruntime
def test_another_prepared_model_than_the_measured_one_is_said(prepared: Prepared) -> None:
    (warned,) = prepared.source["another"]["warned"]
    assert "not as it was measured: the prepared model is another" in warned
    assert warned.endswith("; `python -m autotune verify best.json` measures it here")
    (warned,) = prepared.source["other_files"]["warned"]
    assert "not as it was measured: the prepared model was made again from the same, and its files differ" in warned


# -------------------------------------------------------------------------------------------- what cannot be loaded


def test_a_program_is_not_loaded(tmp_path: Path) -> None:
    path = tiny.best(tmp_path)
    best = json.loads(path.read_text())
    best["config"] |= {"backend": "command", "options": {}}
    path.write_text(json.dumps(best))
    with pytest.raises(AutotuneError, match="it runs a program, which `python -m autotune run` starts"):
        load(path)


def test_what_this_cpu_cannot_honour_is_an_error(tmp_path: Path) -> None:
    path = tiny.best(tmp_path)
    best = json.loads(path.read_text())
    cores = len(probe.probe().cores)
    best["config"]["knobs"]["layout"] = f"1x{cores + 1}"
    best["layout"] = [{"cpus": list(range(cores + 1)), "threads": cores + 1, "node": None}]
    path.write_text(json.dumps(best))
    with pytest.raises(AutotuneError, match=f"a worker has {cores + 1} threads, and this process may use {cores}"):
        load(path)


def test_a_file_that_is_no_best_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(AutotuneError, match=r"there is no file .*best\.json"):
        load(tmp_path / "best.json")
