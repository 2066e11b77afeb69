"""Loading a `best.json` in processes of its own, since no test imports a framework itself."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from autotune.apply.load_model import load
from autotune.core.best import Best
from autotune.core.errors import AutotuneError
from autotune.hardware import probe
from autotune.launch import environment
from tests.apply import tiny
from tests.test_main import Place

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

USE = """
import torch, net
model, warned = said(load, "best.json")
images = torch.randn(3, 3, 8, 8)
with torch.no_grad():
    wanted = net.net()(images)
got = model(images)
arrays = model({"images": images.numpy()})
told |= {
    "warned": warned,
    "names": list(got),
    "close": all(torch.allclose(got[name], wanted[name], atol=1e-4) for name in wanted),
    "arrays": all(type(arrays[name]).__name__ == "ndarray" for name in wanted),
    "same": all(abs(arrays[name] - got[name].numpy()).max() < 1e-5 for name in wanted),
    "threads": torch.get_num_threads(),
}
"""
GOOD = {"names": ["logits", "pooled"], "close": True, "arrays": True, "same": True}
REF = """
from autotune.hardware import probe as hardware
from autotune.models import artifact_cache, artifacts
from autotune.apply import best_file
from autotune.core.rules import MeasureRules
best = best_file.read(Path("best.json"))
def refuse(*_): raise AssertionError("it is prepared already")
cache = artifact_cache.default_folder()
found = artifacts.ensure(best.workload, best.config, hardware.probe(), MeasureRules(), refuse, cache)
told |= {"key": found.ref.key, "sha256": found.ref.sha256, "bytes": found.ref.bytes, "prepare_s": 0.0}
"""


def changed(path: Path, **fields: object) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=Best)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(found, **fields)))


def test_a_torch_model_answers_as_itself_whatever_it_is_given(place: Place) -> None:
    tiny.best(place.folder, options={"memory_format": "channels_last"})
    found = tiny.told(place, USE)
    assert found.items() >= GOOD.items()
    assert found["threads"] == 1


def test_what_a_running_process_cannot_take_on_is_one_warning(place: Place) -> None:
    tiny.best(place.folder)
    (warned,) = tiny.told(place, USE)["warned"]
    assert warned.startswith("best.json: not in effect in this process: layout: ") and "\n" not in warned
    assert warned.endswith("start it as `python -m autotune run best.json -- PROGRAM`")


def test_strict_makes_it_an_error(place: Place) -> None:
    tiny.best(place.folder)
    reason = tiny.told(place, 'told["error"] = failure(load, "best.json", strict=True)')["error"]
    assert "not in effect in this process: layout: " in reason


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


@needs_onnxruntime
def test_a_prepared_model_is_made_in_a_child_and_then_found(place: Place, tmp_path: Path) -> None:
    own = Place(place.folder, tmp_path / "own-cache")
    path = tiny.best(place.folder, "onnxruntime")
    first = tiny.told(own, USE + 'told["torch"] = "onnxscript" in sys.modules')
    assert first.items() >= GOOD.items() and not first["torch"]
    kept = sorted(own.cache.glob("artifacts/*/model.onnx"))
    assert len(kept) == 1

    ref = tiny.told(own, REF)
    changed(path, artifact=ref)
    assert tiny.told(own, USE)["warned"] == [first["warned"][0]]
    assert kept == sorted(own.cache.glob("artifacts/*/model.onnx"))

    # damaged: it is prepared again; gone with its source: the very files of the cache still serve
    kept[0].write_bytes(b"damaged")
    assert tiny.told(own, USE).items() >= GOOD.items()
    changed(path, artifact=tiny.told(own, REF))
    (place.folder / "net.py").unlink()
    (place.folder / "net2.py").write_text(tiny.MODEL)
    found = tiny.told(
        own,
        USE.replace("net.net()", "net2.net()")
        .replace("net\n", "net2\n", 1)
        .replace('{"images": images.numpy()}', "images.numpy()"),
    )
    assert found.items() >= GOOD.items()
    assert "the prepared model is used alone, since " in found["warned"][0]

    # another digest than was measured, and no source: that is no model to load
    changed(path, artifact={**ref, "sha256": "0" * 64})
    assert "cannot be read" in tiny.told(own, 'told["error"] = failure(load, "best.json")')["error"]


@needs_onnxruntime
def test_another_prepared_model_than_the_measured_one_is_said(place: Place) -> None:
    path = tiny.best(place.folder, "onnxruntime")
    changed(path, artifact={"key": "0" * 64, "sha256": "0" * 64, "bytes": 1, "prepare_s": 0.0})
    (warned,) = tiny.told(place, USE)["warned"]
    assert "not as it was measured: the prepared model is another" in warned
    assert warned.endswith("; `python -m autotune verify best.json` measures it here")


def test_a_model_whose_source_is_gone_is_named(place: Place) -> None:
    tiny.best(place.folder)
    (place.folder / "net.py").unlink()
    reason = tiny.told(place, 'told["error"] = failure(load, "best.json")')["error"]
    assert "net.py" in reason and "\n" not in reason


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
