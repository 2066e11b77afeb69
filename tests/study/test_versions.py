from __future__ import annotations

import msgspec
import pytest

from autotune.core.machine import Environment
from autotune.core.results import TrialResult
from autotune.study import versions
from tests.report.made import config, result
from tests.study.fakes import machine

HW = msgspec.structs.replace(machine(), packages={"torch": "2.5", "onnxruntime": "1.20"})


def trial(number: int, interpreter: str = "own", **measured_with: str) -> TrialResult:
    found = result(number, config(interpreter=interpreter))
    return msgspec.structs.replace(found, versions={"python": "3.11.2", **measured_with})


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({"torch": "2.5"}, {}),
        ({"torch": "2.5", "python": "3.10.1"}, {}),
        ({"torch": "2.4", "onnxruntime": "1.20"}, {"torch": "2.4, now 2.5"}),
        ({"openvino": "2026.0"}, {"openvino": "2026.0, now not installed"}),
    ],
)
def test_what_changed_since_a_measurement(then: dict[str, str], said: dict[str, str]) -> None:
    assert versions.changed(config(), then, HW) == said


def test_each_interpreter_has_versions_of_its_own() -> None:
    other = Environment(prefix="/other", python="3.11.2", packages={"torch": "2.1"})
    hw = msgspec.structs.replace(HW, environments={"other": other})
    assert versions.changed(config(interpreter="other"), {"torch": "2.1"}, hw) == {}
    assert versions.changed(config(interpreter="other"), {"torch": "2.0"}, hw) == {"torch": "2.0, now 2.1"}
    assert versions.changed(config(interpreter="removed"), {"torch": "2.0"}, hw) == {}
    assert versions.outdated([trial(0, "other", torch="2.1"), trial(1, torch="2.5")]) == {}


def test_changes_are_counted_over_the_trials() -> None:
    results = [trial(0, torch="2.4"), trial(1, torch="2.4"), trial(2, torch="2.5"), result(3, config())]
    assert versions.changes(results, HW) == ["torch 2.4, now 2.5: measured by 2 of the trials"]
    assert versions.changes(results[2:], HW) == []


def test_trials_before_an_update_are_outdated_once_a_trial_has_the_new_version() -> None:
    before = [trial(0, torch="2.4", onnxruntime="1.20"), trial(1, torch="2.4"), trial(2, onnxruntime="1.20")]
    assert versions.outdated(before) == {}
    assert versions.outdated([*before, trial(3, torch="2.5")]) == {0: {"torch": "2.4"}, 1: {"torch": "2.4"}}
    assert versions.outdated([*before, trial(3, torch="2.5"), trial(4, torch="2.4")]) == {3: {"torch": "2.5"}}
