"""Search and load from Python, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from autotune.apply import optimize
from autotune.apply.export_module import Exported
from autotune.core.errors import StudyError
from autotune.study.storage import store
from tests.apply import tiny
from tests.conftest import ended
from tests.place import PATIENCE_S, QUICKLY, ROOT, Place

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
SEARCH = f"""
import sys, torch, net
from autotune.apply.optimize import optimize
sys.modules["autotune.apply.optimize"].PROGRAM = ("{QUICKLY}", "--skip-confirmation")
images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
space = {{"batch_size": 8, "backend": {{"torch_eager": {{}}}}, "threads": 1, "workers": 1}}
"""
SEARCHED = """
wanted = {"minutes": 5, "space": space, "constraints": {"cosine_similarity": {"min": 0.99}}}
model, _ = said(optimize, net.net(), {"images": images}, **wanted)
with torch.no_grad():
    expected = net.net()(images)
got = model({"images": images[:3]})
told |= {
    "close": all(torch.allclose(got[name], expected[name][:3], atol=1e-4) for name in expected),
    "study": model.best.study, "judged": model.best.fidelity.judged, "cosine": model.best.fidelity.cosine_similarity,
    "workload": model.best.workload.model, "limits": [limit.metric for limit in model.best.constraints],
}
again, _ = said(optimize, net.net(), {"images": images}, **wanted)
told["again"] = again.best.study
told["studies"] = sorted(path.parent.name for path in Path("studies").glob("*/best.json"))
told["error"] = failure(optimize, net.net(), images, space={"backend": {"torch_eagre": {}}})
"""


@dataclass(frozen=True)
class Searched:
    """The folder of a search of two configurations, and what was told of it, of the same call again and of a wrong one.

    Nothing is confirmed: `test_main_interrupted.py` has that, and a slow test below.
    """

    folder: Path
    told: dict[str, Any]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Searched:
    place = Place(tmp_path_factory.mktemp("searched"), shared / "cache")
    (place.folder / "net.py").write_text(tiny.MODEL)
    return Searched(place.folder, tiny.told(place, SEARCH + SEARCHED))


@needs_torch
def test_three_lines_search_and_load(searched: Searched) -> None:
    found = searched.told
    assert found["close"] and found["judged"] and found["cosine"] > 0.999
    assert found["study"].startswith("Net-") and found["studies"] == [found["study"]]
    assert found["workload"].startswith(f"exported:{searched.folder}/studies/models/Net-")
    assert found["limits"][:2] == ["cosine_similarity", "centred_error"]
    results = store.results(searched.folder / "studies" / found["study"])
    assert {(result.status.measured, result.spec.config.workload.batch_size) for result in results} == {(True, 8)}


@needs_torch
def test_the_same_call_again_goes_on(searched: Searched) -> None:
    assert searched.told["again"] == searched.told["study"]


@needs_torch
def test_a_mistake_in_the_space_is_said_and_ends_it(searched: Searched) -> None:
    assert searched.told["error"] == "the search ended with exit status 1; what it said is above"


@pytest.mark.slow
@needs_torch
def test_a_search_ends_with_a_confirmation(place: Place) -> None:
    (place.folder / "net.py").write_text(tiny.MODEL)
    asked = SEARCH.replace(', "--skip-confirmation"', ",").replace('"batch_size": 8', '"batch_size": [1, 8]')
    found = tiny.told(
        place, f"{asked}\ntold['study'] = optimize(net.net(), {{'images': images}}, minutes=2, space=space).best.study"
    )
    confirmation = store.confirmation(place.folder / "studies" / found["study"])
    assert confirmation is not None and confirmation.finished and confirmation.winner is not None


@pytest.mark.slow
@needs_torch
def test_ctrl_c_ends_the_search_and_leaves_nothing_behind(place: Place) -> None:
    (place.folder / "net.py").write_text(tiny.MODEL)
    program = subprocess.Popen(
        [sys.executable, "-c", f"{SEARCH}\noptimize(net.net(), {{'images': images}}, minutes=5, space=space)"],
        cwd=place.folder,
        env=place.environ | {"PYTHONPATH": f"{ROOT}:{place.folder}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    with program:
        deadline = time.monotonic() + PATIENCE_S
        while not list(place.folder.glob("studies/Net-*/trials/00000/processes.json")):
            assert program.poll() is None and time.monotonic() < deadline, program.communicate()
            time.sleep(0.05)
        children = [child.pid for child in psutil.Process(program.pid).children(recursive=True)]
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=PATIENCE_S)
    assert program.returncode != 0 and err.rstrip().endswith("KeyboardInterrupt"), err
    assert "interrupted; what is finished is kept" in out
    assert children and all(map(ended, children))


def test_the_minutes_are_checked_at_once() -> None:
    with pytest.raises(StudyError, match=r"minutes is 0; allowed: 0\.1 to 1,000,000"):
        optimize.optimize(None, None, minutes=0)


def test_memory_formats_are_for_images() -> None:
    plain, images = (optimize.search(Exported(program=None, images=found, names=None)) for found in (False, True))
    assert plain["backend"]["openvino"] == images["backend"]["openvino"] == {"precision": ["float32", "int8"]}
    assert plain["backend"]["torch_eager"]["memory_format"] == ["contiguous"]
    assert images["backend"]["torch_compile"]["memory_format"] == ["contiguous", "channels_last"]


def test_a_class_of_any_name_makes_a_study() -> None:
    assert optimize._word("Net_2<x>") == "Net2x" and optimize._word("模型") == "model"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"cannot be written: .*; name another in `studies`"):
        optimize._written(tmp_path / "file" / "x", "x", Exported(None, False, None), {})
