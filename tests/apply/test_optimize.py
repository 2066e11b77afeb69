"""Search and load from Python, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from autotune.apply import optimize
from autotune.apply.export_module import Exported
from autotune.core.errors import StudyError
from autotune.study.storage import store
from tests.apply import tiny
from tests.conftest import ended
from tests.test_main import PATIENCE_S, QUICKLY, ROOT, Place

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
SEARCH = f"""
import sys, torch, net
from autotune.apply.optimize import optimize
sys.modules["autotune.apply.optimize"].PROGRAM = ("{QUICKLY}",)
images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))
space = {{"batch_size": [1, 8], "backend": {{"torch_eager": {{}}}}, "threads": 1, "workers": 1}}
"""


@needs_torch
def test_three_lines_search_and_load(place: Place) -> None:
    (place.folder / "net.py").write_text(tiny.MODEL)
    script = f"""{SEARCH}
wanted = {{"minutes": 0.6, "space": space, "constraints": {{"cosine_similarity": {{"min": 0.99}}}}}}
model, _ = said(optimize, net.net(), {{"images": images}}, **wanted)
with torch.no_grad():
    expected = net.net()(images)
got = model({{"images": images[:3]}})
told |= {{
    "close": all(torch.allclose(got[name], expected[name][:3], atol=1e-4) for name in expected),
    "study": model.best.study, "judged": model.best.fidelity.judged, "cosine": model.best.fidelity.cosine_similarity,
    "workload": model.best.workload.model, "limits": [limit.metric for limit in model.best.constraints],
}}
again, _ = said(optimize, net.net(), {{"images": images}}, **wanted)
told["again"] = again.best.study
told["studies"] = sorted(path.parent.name for path in Path("studies").glob("*/best.json"))
"""
    found = tiny.told(place, script)
    assert found["close"] and found["judged"] and found["cosine"] > 0.999
    assert (
        found["study"].startswith("Net-") and found["study"] == found["again"] and found["studies"] == [found["study"]]
    )
    assert found["workload"].startswith(f"exported:{place.folder}/studies/models/Net-")
    assert found["limits"] == ["cosine_similarity", "centred_error"]
    results = store.results(place.folder / "studies" / found["study"])
    assert {result.spec.config.workload.batch_size for result in results} <= {1, 8} and len(results) >= 1


@needs_torch
def test_ctrl_c_ends_the_search_and_leaves_nothing_behind(place: Place) -> None:
    (place.folder / "net.py").write_text(tiny.MODEL)
    program = subprocess.Popen(
        [sys.executable, "-c", f"{SEARCH}\noptimize(net.net(), images, minutes=5, space=space)"],
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


@needs_torch
def test_a_mistake_in_the_space_is_said_and_ends_it(place: Place) -> None:
    (place.folder / "net.py").write_text(tiny.MODEL)
    wrong = 'optimize, net.net(), images, space={"backend": {"torch_eagre": {}}}'
    found = tiny.told(place, f'{SEARCH}\ntold["error"] = failure({wrong})')
    assert found["error"] == "the search ended with exit status 1; what it said is above"


def test_the_minutes_are_checked_at_once() -> None:
    with pytest.raises(StudyError, match=r"minutes is 0; allowed: 0\.1 to 1,000,000"):
        optimize.optimize(None, None, minutes=0)


def test_without_rows_to_calibrate_on_nothing_is_quantised() -> None:
    few = optimize.search(Exported(program=None, rows=1, images=False, names=None))
    many = optimize.search(Exported(program=None, rows=8, images=True, names=None))
    assert few["backend"]["openvino"] == {"precision": ["float32"]}
    assert many["backend"]["openvino"] == {"precision": ["float32", "int8"]}
    assert few["backend"]["torch_eager"]["memory_format"] == ["contiguous"]
    assert many["backend"]["torch_compile"]["memory_format"] == ["contiguous", "channels_last"]


def test_a_class_of_any_name_makes_a_study() -> None:
    assert optimize._word("Net_2<x>") == "Net2x" and optimize._word("模型") == "model"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match=r"cannot be written: .*; name another in `studies`"):
        optimize._written(tmp_path / "file" / "x", "x", Exported(None, 1, False, None), {})
