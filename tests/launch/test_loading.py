from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status
from autotune.core.rules import MeasureRules
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
    failed = "failed: RuntimeError: no such operator: frobnicate"
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
    assert first.error == "no answer within 2 s while preparing faulty of tiny:conv"
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
