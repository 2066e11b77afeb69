from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from autotune.core.machine import Hardware
from autotune.study.confirm import aggregate, provenance
from tests.fake_executor import FakeExecutor
from tests.study.confirm.comparing import CONFIGS, HW, run, toy, until
from tests.study.confirm.confirming import FIRST, PLAIN, THIRD, confirmed
from tests.study.fakes import Watcher, searched


def with_packages(**versions: str) -> Hardware:
    """The machine with other versions of some packages."""
    return msgspec.structs.replace(HW, packages=HW.packages | versions)


def test_runs_of_other_package_versions_are_left_out_and_counted(tmp_path: Path) -> None:
    """Before: 10/s and 20/s of two versions were one claim of 14.1/s, with the name of the last version."""
    old, new = toy(tmp_path), toy(tmp_path, hardware=with_packages(torch="2.0"))
    run(old, FakeExecutor(tmp_path, candidate=lambda name, spec: 10.0, noise=0), until(3))
    assert new.runs() == []
    assert new.left_out() == "3 earlier interleaved runs are left out: made with torch 1.0, now 2.0"
    executor = FakeExecutor(tmp_path, candidate=lambda name, spec: 20.0, noise=0, hardware=with_packages(torch="2.0"))
    runs = run(new, executor, until(3))
    assert [spec.number for spec in executor.runs] == [4, 5, 6]
    merged = aggregate.merge(tmp_path, runs, "a", 0.95)
    assert merged is not None and merged.candidate.versions == {"torch": "2.0"}
    assert round(merged.rate.estimate, 6) == 20.0
    assert len(old.runs()) == len(new.runs()) == 3 and old.runs() != new.runs()


def test_a_candidate_that_was_dropped_with_another_version_is_measured_again(tmp_path: Path) -> None:
    """The later runs, which are without it, still count for the others."""
    configs = CONFIGS | {"b": THIRD}
    old = toy(tmp_path, configs=configs)
    run(old, FakeExecutor(tmp_path), lambda runs: [set(configs), {"a", "c"}, {"a", "c"}, set()][len(runs)])
    upgraded = with_packages(onnxruntime="2.0")
    new = toy(tmp_path, configs=configs, hardware=upgraded)
    assert [one.spec.number for one in old.runs()] == [1, 2, 3]
    assert [set(one.spec.configs) for one in new.runs()] == [{"a", "c"}] * 2
    assert new.left_out() == "1 earlier interleaved runs are left out: made with onnxruntime 1.0, now 2.0"
    executor = FakeExecutor(tmp_path, hardware=upgraded)
    run(new, executor, lambda runs: set() if any("b" in one.spec.configs for one in runs) else set(configs))
    assert [(spec.number, set(spec.configs)) for spec in executor.runs] == [(4, set(configs))]
    assert [one.spec.number for one in new.runs()] == [2, 3, 4]


def test_a_run_of_another_type_of_machine_is_left_out(tmp_path: Path) -> None:
    other = msgspec.structs.replace(HW, instance_type="c9.large")
    (found,) = run(toy(tmp_path), FakeExecutor(tmp_path, hardware=other), until(1))
    assert provenance.difference(found, other) is None
    assert provenance.difference(found, HW) == "made on another type of machine"


def test_a_run_of_an_interpreter_that_was_removed_is_left_out(tmp_path: Path) -> None:
    (found,) = run(toy(tmp_path), FakeExecutor(tmp_path), until(1))
    candidate = found.candidates["a"]
    config = msgspec.structs.replace(CONFIGS["a"], knobs=CONFIGS["a"].knobs | {"interpreter": "nightly"})
    candidates = found.candidates | {"a": msgspec.structs.replace(candidate, config=config)}
    gone = msgspec.structs.replace(found, candidates=candidates)
    assert provenance.difference(gone, HW) == "made by the interpreter nightly, which was removed"


def test_a_package_that_was_removed_and_python_itself(tmp_path: Path) -> None:
    """Another patch release of Python is no reason to measure all again."""
    (found,) = run(toy(tmp_path), FakeExecutor(tmp_path), until(1))
    without = msgspec.structs.replace(HW, packages={})
    assert provenance.difference(found, without) == "made with torch 1.0, now not installed"
    candidate = msgspec.structs.replace(found.candidates["a"], versions={"python": "3.4.0", "torch": "1.0"})
    assert provenance.difference(msgspec.structs.replace(found, candidates={"a": candidate}), HW) is None


def test_a_confirmation_after_an_upgrade_measures_anew_and_says_so(tmp_path: Path) -> None:
    """It was interrupted before, with all runs of the finalists on disk."""
    study = searched(tmp_path, {PLAIN: 10.2, FIRST: 30.0}, 600)
    before = confirmed(study, FakeExecutor(tmp_path))
    (tmp_path / "confirmation.json").unlink()
    upgraded = with_packages(onnxruntime="2.0")
    study = dataclasses.replace(study, hardware=upgraded)
    watcher, executor = Watcher(), FakeExecutor(tmp_path, hardware=upgraded)
    found = confirmed(study, executor, watcher=watcher)
    assert before is not None and before.winner is not None and found is not None and found.winner is not None
    assert (before.winner.versions, found.winner.versions) == ({"onnxruntime": "1.0"}, {"onnxruntime": "2.0"})
    assert not set(before.winner.folders) & set(found.winner.folders)
    assert watcher.notices[0].startswith("3 earlier interleaved runs are left out: made with onnxruntime 1.0, now 2.0")
