"""`python -m autotune` interrupted and killed, and the same command again, with real trials of a small ONNX file."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from autotune.core.best import Best
from autotune.core.results import Status
from autotune.study.storage import store
from tests.conftest import ended
from tests.place import FRAMEWORKS, PATIENCE_S, Place, workers_of

RUNS = 3
"""The interleaved runs that a claim needs, by the rules of tests."""

SAVE = """
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

def values(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

rng = np.random.default_rng(0)
weights = [numpy_helper.from_array(rng.standard_normal((256, 256), np.float32) / 16, name) for name in "ab"]
nodes = [helper.make_node("MatMul", [x, name], [y]) for x, name, y in (("x", "a", "h"), ("r", "b", "y"))]
nodes.insert(1, helper.make_node("Relu", ["h"], ["r"]))
graph = helper.make_graph(nodes, "g", [values("x", ["batch", 256])], [values("y", ["batch", 256])], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
"""

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxruntime")), reason="needs onnxruntime and onnx"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    subprocess.run([sys.executable, "-c", SAVE, path], check=True)
    return path


@pytest.fixture
def place(model: Path, tmp_path: Path) -> Place:
    return Place(tmp_path, model.parent / "cache")


def space(model: Path, batch_sizes: str, trials: int) -> str:
    return f"""\
name: small
workload: {{model: 'onnx:{model}'}}
search: {{batch_size: {batch_sizes}, backend: {{onnxruntime: {{}}}}}}
baseline: {{backend: {{onnxruntime: {{}}}}}}
budget: {{trials: {trials}}}
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_keeps_what_is_finished_and_says_how_to_go_on(
    model: Path, place: Place, number: signal.Signals, status: int
) -> None:
    command = place.tune(space(model, "[1, 2, 4]", trials=3))
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, store.trial_folder(1))
        program.send_signal(number)
        out, err = program.communicate(timeout=PATIENCE_S)
    assert (program.returncode, err) == (status, "")
    assert workers and all(map(ended, workers))
    first, second = store.results(place.study)
    assert (first.status, second.status) == (Status.OK, Status.INTERRUPTED)
    assert place.best().trial == first.spec.id
    lines = out.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert "file      studies/mine/best.json" in lines
    assert re.match("go on     .*python -m autotune ", lines[-1])
    go_on = shlex.split(lines[-1].removeprefix("go on"))
    assert go_on[1:] == list(command)


def test_kill_9_in_a_trial_loses_only_that_trial(model: Path, place: Place) -> None:
    command = place.tune(space(model, "[1, 2, 4]", trials=3))
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, store.trial_folder(1))
        program.kill()
        program.communicate(timeout=PATIENCE_S)
    assert program.returncode == -signal.SIGKILL
    assert workers and all(map(ended, workers))
    kept = store.results(place.study)
    assert [found.spec.id for found in kept] == [0]
    lost = store.spec(place.study, 1)
    assert lost is not None

    again = place.run_quickly(command)
    assert (again.returncode, again.stderr) == (0, "")
    assert re.findall(r"^ +(\d/\d)  ", again.stdout, re.MULTILINE) == ["2/3", "3/3"]
    settled = place.settled()
    assert settled[0] == kept[0]
    assert [found.status.measured for found in settled] == [True] * 3
    assert settled[1].spec.config == lost.config
    assert sorted(found.spec.config.workload.batch_size for found in settled) == [1, 2, 4]
    assert place.best().config in [found.spec.config for found in settled]

    third = place.run_quickly(command)
    assert "going on after trial 3\n" in third.stdout and "all trials of the budget are done" in third.stdout
    assert place.settled() == settled


# ------------------------------------------------------------------------------------------------ the confirmation


@dataclass(frozen=True)
class Cut:
    """A study whose confirmation was interrupted in its second interleaved run, and the same command again."""

    place: Place
    first: subprocess.CompletedProcess[str]
    left: tuple[int, ...]
    kept: dict[str, bytes]
    best: Best
    second: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def cut(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Cut:
    place = Place(tmp_path_factory.mktemp("confirmed"), model.parent / "cache")
    command = place.tune(space(model, "[1, 16]", trials=2), "--minutes", "3.5")
    with place.start_quickly(command) as program:
        workers = workers_of(program, place.study, "confirmation/finalists-*/0002/baseline")
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=PATIENCE_S)
    first = subprocess.CompletedProcess(command, program.returncode, out, err)
    left = tuple(pid for pid in workers if not ended(pid))
    kept = {str(path): path.read_bytes() for path in place.study.glob("confirmation/*/*/sitting.json")}
    return Cut(place, first, left, kept, place.best(), place.run_quickly(command))


def test_an_interrupted_confirmation_keeps_its_runs_and_says_how_to_go_on(cut: Cut) -> None:
    assert (cut.first.returncode, cut.first.stderr, cut.left) == (130, "", ())
    lines = cut.first.stdout.splitlines()
    assert any(line.startswith("confirming 2 configurations against each other, up to about ") for line in lines)
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert shlex.split(lines[-1].removeprefix("go on"))[1:] == list(cut.first.args)
    assert len(cut.kept) == 1
    assert not cut.best.confirmed


def test_a_confirmation_goes_on_to_a_claim(cut: Cut) -> None:
    assert (cut.second.returncode, cut.second.stderr) == (0, "")
    assert "study     studies/mine, going on after trial 2\n" in cut.second.stdout
    for path, content in cut.kept.items():
        assert Path(path).read_bytes() == content
    found, best = store.confirmation(cut.place.study), cut.place.best()
    assert found is not None and found.winner is not None, cut.second.stdout
    assert best.confirmed and best.config == found.winner.config
    speedup = best.measured.speedup
    assert speedup.runs is not None and speedup.runs >= RUNS
    assert speedup.rounds is not None and speedup.rounds >= 2 * speedup.runs
    assert found.gain == (best.config.workload.batch_size == 16)
    assert speedup.low is not None and (speedup.low > 1 if found.gain else speedup.estimate == 1)
    assert ("speed-up  " in cut.second.stdout) == found.gain
    assert best.measured.latency_calls is not None and best.measured.latency_p50_ms is not None
    assert best.artifact is not None and "onnxruntime" in best.versions and best.fidelity is not None
    assert [one.error for one in found.finalists] == [None, None]
    assert not list(cut.place.study.glob("confirmation/*/*/*/processes.json"))


def test_a_coordinator_that_confirms_imports_no_framework(cut: Cut) -> None:
    assert cut.place.imported() & {"optuna", *FRAMEWORKS} == {"optuna"}
