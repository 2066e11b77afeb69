from __future__ import annotations

from pathlib import Path

from autotune.study.confirm import outcomes
from tests.fake_executor import FakeExecutor
from tests.study.confirm.comparing import PAIR, run, toy, until


def test_a_configuration_that_fails_twice_is_measured_no_more(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 1 if name == "b" else None)
    runs = run(toy(tmp_path), executor, until(4))
    assert ["".join(spec.configs) for spec in executor.runs] == ["abc", "abc", "ac", "ac"]
    assert outcomes.failure(runs, "b") == "a made-up crash"
    assert outcomes.failure(runs, "a") is outcomes.failure(runs[:1], "b") is None


def test_failing_once_is_forgiven(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "b" and spec.number == 2 else None)
    runs = run(toy(tmp_path), executor, until(4))
    assert ["".join(spec.configs) for spec in executor.runs] == ["abc"] * 4
    assert outcomes.failure(runs, "b") is None


def test_one_alone_is_not_measured(tmp_path: Path) -> None:
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "b" else None)
    assert len(run(toy(tmp_path, configs=PAIR), executor, until(9))) == outcomes.ENOUGH_FAILURES
    assert run(toy(tmp_path, name="other"), executor, lambda runs: {"a"}) == []
