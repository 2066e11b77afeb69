from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import cache_contents
from tests.conftest import QUICK, TINY, ExtendedPackage

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")


def rules(**changes: float) -> MeasureRules:
    return msgspec.structs.replace(QUICK, **changes)


class Prepared:
    """Trials whose models are prepared, or are not, in a cache of their own; the last of them again in a next run."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        self.root, self.cache = root, root / "cache"
        modes = ("artifact", "artifact", "prepare_error", "prepare_error", "prepare_killed")
        self.specs = [lab.spec("faulty", {"mode": mode}, trial=n, batch_size=n) for n, mode in enumerate(modes, 1)]
        self.told = lab.execute(root, self.specs, cache=self.cache)
        self.next = lab.execute(root, self.specs[-1:], cache=self.cache)


@pytest.fixture(scope="module")
def prepared(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return Prepared(lab, tmp_path_factory.mktemp("prepared"))


def test_everything_is_prepared_once_but_what_was_killed(prepared: Prepared) -> None:
    made = ["reference outputs of tiny:conv", *["faulty of tiny:conv"] * 3]
    assert prepared.told.preparing == made
    assert prepared.next.preparing == ["faulty of tiny:conv"]


def test_an_artifact_is_made_once(prepared: Prepared) -> None:
    first, second = (result.artifact for result in prepared.told.results[:2])
    assert first is not None and second is not None
    assert first.prepare_s > 0
    assert second == msgspec.structs.replace(first, prepare_s=0.0)
    assert first.bytes == len(b"prepared by faulty")


def test_a_preparation_that_fails_is_remembered_with_its_log(prepared: Prepared) -> None:
    first, second = prepared.told.results[2:4]
    assert (first.status, second.status) == (Status.PREPARE_FAILED, Status.PREPARE_FAILED)
    assert first.error == "RuntimeError: no such operator: frobnicate"
    assert second.error is not None and second.error.startswith(f"{first.error} (remembered; ")
    for spec in prepared.specs[2:4]:
        log = (prepared.root / spec.folder / "stderr.log").read_text()
        assert log.startswith("before the error\nTraceback")
        assert "and a second line" in log


def test_a_preparation_that_was_killed_is_tried_again_by_the_next_run(prepared: Prepared) -> None:
    for told in (prepared.told, prepared.next):
        killed = told.results[-1]
        assert killed.status is Status.PREPARE_FAILED
        assert killed.error is not None and killed.error.startswith("a worker was killed by SIGKILL, ")
    kept = sorted(line.what for line in cache_contents.contents(prepared.cache))
    failed = "failed: faulty of tiny:conv: RuntimeError: no such operator: frobnicate"
    assert kept == [failed, "faulty of tiny:conv", "reference outputs of tiny:conv"]


def test_a_preparation_that_dies(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "prepare_exit"})
    (result,) = lab.execute(tmp_path, [spec]).results
    assert result.status is Status.PREPARE_FAILED
    assert result.error == "a worker ended with exit status 7: the converter gave up"
    assert (tmp_path / spec.folder / "stderr.log").read_text() == "the converter gave up\n"


def test_a_preparation_without_time_is_not_repeated_for_another_configuration(
    lab: ExtendedPackage, tmp_path: Path
) -> None:
    fine = [lab.spec("faulty", {"mode": "fine"}, trial=trial) for trial in (0, 3)]
    hang = [lab.spec("faulty", {"mode": "prepare_hang", "round": n}, trial=n, batch_size=n) for n in (1, 2)]
    short = rules(prepare_timeout_s=1.5)
    asked = [(fine[0], rules(), None), *((spec, short, None) for spec in hang), (fine[1], rules(), None)]
    told = lab.run(tmp_path, asked)
    before, first, second, after = told.results
    assert first.status is Status.PREPARE_FAILED
    assert first.error == "no answer within 2 s while preparing faulty of tiny:conv; limits.prepare_s is 1.5"
    assert second.error == f"{first.error} (not tried again in this run)"
    assert told.preparing.count("faulty of tiny:conv") == 1
    assert before.status is after.status is Status.OK


def test_a_preparation_cut_short_is_neither_failed_nor_remembered(lab: ExtendedPackage, tmp_path: Path) -> None:
    slow = msgspec.structs.replace(TINY, model="tiny:slow")
    spec = lab.spec("faulty", {"mode": "fine"}, workload=slow)
    cache = tmp_path / "cache"
    (result,) = lab.run(tmp_path, [(spec, rules(trial_timeout_s=1.0), None)], cache).results
    assert result.status is Status.INTERRUPTED
    assert result.error == "the study's time ended while preparing reference outputs of tiny:slow"
    assert cache_contents.contents(cache) == []
    assert list((cache / "making").iterdir()) == []


def test_a_workload_that_cannot_be_built_is_a_failed_preparation(lab: ExtendedPackage, tmp_path: Path) -> None:
    broken = msgspec.structs.replace(TINY, model="tiny:broken")
    spec = lab.spec("faulty", {"mode": "fine"}, workload=broken)
    (result,) = lab.execute(tmp_path, [spec]).results
    assert (result.status, result.error) == (Status.PREPARE_FAILED, "ModelError: it is broken")


# ------------------------------------------------------------------------------------------------ the user's own code

OWN = """
import os, time, torch
from pathlib import Path

def build():
    time.sleep({sleep_s})
    ({file}).read_bytes()
    return torch.nn.Linear(4, 4), torch.randn(8, 4)
"""


def own_model(folder: Path, file: str = "Path(__file__).with_name('weights.pt')", sleep_s: float = 0) -> WorkloadSpec:
    (folder / "model.py").write_text(OWN.format(file=file, sleep_s=sleep_s))
    return WorkloadSpec(model=f"python:{folder / 'model.py'}:build", inputs=())


def with_weights(folder: Path) -> Path:
    """The folder, with a file of weights in it."""
    folder.mkdir(exist_ok=True)
    (folder / "weights.pt").touch()
    return folder


def test_a_missing_file_of_the_users_is_looked_for_again(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = lab.spec("faulty", {"mode": "fine"}, workload=own_model(tmp_path))
    told = lab.execute(tmp_path, [spec] * 2, cache=tmp_path / "cache")
    first, second = (str(result.error) for result in told.results)
    assert "raised FileNotFoundError: " in first
    assert second == f"{first} (not tried again in this run)"
    assert cache_contents.contents(tmp_path / "cache") == []
    with_weights(tmp_path)
    (result,) = lab.execute(tmp_path, [spec], cache=tmp_path / "cache").results
    assert (result.status, result.error) == (Status.OK, None)


def test_a_variable_that_is_not_handed_on_is_named(lab: ExtendedPackage, tmp_path: Path) -> None:
    workload = own_model(tmp_path, "Path(os.environ['MODEL_DIR']) / 'weights.pt'")
    named = msgspec.structs.replace(workload, env=("MODEL_DIR",))
    specs = [lab.spec("faulty", {"mode": "fine"}, workload=one) for one in (workload, named)]
    there = with_variables(lab, MODEL_DIR=str(with_weights(tmp_path / "models")))
    without, handed_on = there.execute(tmp_path, specs, cache=tmp_path / "cache").results
    assert (without.error or "").endswith(
        "raised KeyError: 'MODEL_DIR'; MODEL_DIR is set in your shell and not handed on to the child; "
        "write workload.env: [MODEL_DIR]"
    )
    assert (handed_on.status, handed_on.error) == (Status.OK, None)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json"))
    assert b"MODEL_DIR" in kept and str(tmp_path / "models").encode() not in kept


def test_a_measured_worker_lacks_a_variable(lab: ExtendedPackage, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import os, torch\n"
        "def build():\n"
        "    if 'CI' not in os.environ:\n"  # where it is measured, not where it is prepared
        "        os.environ['MODEL_DIR']\n"
        "    return torch.nn.Linear(4, 4), torch.randn(8, 4)\n"
    )
    workload = WorkloadSpec(model=f"python:{tmp_path / 'model.py'}:build", inputs=())
    spec = lab.spec("torch_eager", {"memory_format": "contiguous", "precision": "float32"}, workload=workload)
    (result,) = with_variables(lab, MODEL_DIR="/models").execute(tmp_path, [spec]).results
    assert result.status is Status.CRASHED
    assert (result.error or "").endswith("; write workload.env: [MODEL_DIR]")


def test_code_that_waits_is_waited_for(lab: ExtendedPackage, tmp_path: Path) -> None:
    eager = {"memory_format": "contiguous", "precision": "float32"}
    spec = lab.spec("torch_eager", eager, workload=own_model(with_weights(tmp_path), sleep_s=1.5))
    short = rules(idle_timeout_s=1.0, setup_timeout_s=30, build_timeout_s=30)
    (result,) = lab.run(tmp_path, [(spec, short, None)], tmp_path / "cache").results
    assert (result.status, result.error) == (Status.OK, None)
    shorter = msgspec.structs.replace(short, build_timeout_s=1.0)
    (result,) = lab.run(tmp_path, [(spec, shorter, None)], tmp_path / "cache").results
    assert result.error == (f"no answer within 1 s while building {spec.workload.model}; limits.build_s is 1")


def with_variables(lab: ExtendedPackage, **variables: str) -> ExtendedPackage:
    """The lab, its coordinator started with these variables."""

    class There(ExtendedPackage):
        @property
        def environ(self) -> dict[str, str]:
            return lab.environ | variables

    return There(**{field.name: getattr(lab, field.name) for field in dataclasses.fields(lab)})
