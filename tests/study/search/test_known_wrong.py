from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.answers import Fidelity
from autotune.core.results import Status, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Limit
from autotune.core.specs import TrialSpec
from autotune.study.search import known_wrong
from autotune.study.search.driver import search
from tests.fake_executor import FakeExecutor
from tests.report.made import config, result
from tests.study.fakes import Watcher, in_memory, resolved
from tests.study.search.searching import HW, RULES

NEAR = Limit(metric="centred_error", max=0.1)
FAST = Limit(metric="setup_s", max=1)
FAR = Fidelity(judged=True, samples=8, cosine_similarity=0.7, centred_error=2.5, max_abs_error=9.0)
INT8 = {"backend": "openvino", "options": {"precision": "int8"}}
WRONG = result(3, config(batch_size=2, allocator="tcmalloc", **INT8), status=Status.WRONG_OUTPUT, fidelity=FAR)


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (config(batch_size=8, allocator="jemalloc", **INT8), True),
        (config(batch_size=2, backend="openvino", options={"precision": "float32"}), False),
        (config(batch_size=2, allocator="tcmalloc", backend="onnxruntime", options={"precision": "int8"}), False),
        (config(batch_size=2, allocator="tcmalloc", fast_math="bf16", **INT8), False),
    ],
)
def test_other_settings_of_a_wrong_model_are_wrong(other: object, alike: bool) -> None:
    said = known_wrong.reason(other, [WRONG], [NEAR])
    assert said == ("its answers are those of trial 3: centred_error is 2.5, allowed at most 0.1" if alike else None)


def test_a_limit_that_measuring_breaks_says_nothing_of_the_answers() -> None:
    slow = result(4, config(**INT8), setup_s=5.0, fidelity=msgspec.structs.replace(FAR, centred_error=0.01))
    assert known_wrong.reason(config(batch_size=8, **INT8), [slow], [NEAR, FAST]) is None


@pytest.mark.parametrize("status", [Status.CRASHED, Status.INTERRUPTED, Status.OUT_OF_MEMORY, Status.WRONG_OUTPUT])
def test_a_trial_without_answers_says_nothing_of_them(status: Status) -> None:
    hard = Limit(metric="centred_error", max=0.1, unjudged="reject")
    broken = result(3, config(batch_size=2, **INT8), status=status)
    assert known_wrong.reason(config(batch_size=8, **INT8), [broken], [hard]) is None


def test_a_baseline_that_was_interrupted_is_measured_when_the_study_goes_on(tmp_path: Path) -> None:
    hard = Limit(metric="centred_error", max=0.1, unjudged="reject")
    space = msgspec.structs.replace(resolved(HW, trials=4), constraints=(hard,))
    study, ran = in_memory(tmp_path, space, HW), FakeExecutor(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(study, FakeExecutor(tmp_path, before=stop), Watcher(), RULES)
    search(study, ran, Watcher(), RULES)
    assert ran.configs[0] == space.baseline


class Answering(FakeExecutor):
    """OpenVINO's int8 answers wrong."""

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        found = super().execute(spec, rules, incumbent)
        if spec.config.options.get("precision") != "int8":
            return found
        return msgspec.structs.replace(found, status=Status.WRONG_OUTPUT, fidelity=FAR, blocks=())


def test_a_model_that_answers_wrong_is_tried_once(tmp_path: Path) -> None:
    space = msgspec.structs.replace(resolved(HW, trials=60), constraints=(NEAR, FAST))
    study, ran = in_memory(tmp_path, space, HW), Answering(tmp_path)
    search(study, ran, Watcher(), RULES)
    assert sum(one.options.get("precision") == "int8" for one in ran.configs) == 1
    passed_over = [
        trial for trial in study.optuna.trials if "its answers are those" in trial.user_attrs.get("error", "")
    ]
    assert all(trial.number not in {spec.id for spec in ran.trials} for trial in passed_over)


def test_all_but_the_baseline_is_held_to_the_limits_on_answers(tmp_path: Path) -> None:
    space = msgspec.structs.replace(resolved(HW, trials=4), constraints=(NEAR, FAST))
    ran = FakeExecutor(tmp_path)
    search(in_memory(tmp_path, space, HW), ran, Watcher(), RULES)
    assert [rules.answers for rules in ran.rules] == [(), (NEAR,), (NEAR,), (NEAR,)]
