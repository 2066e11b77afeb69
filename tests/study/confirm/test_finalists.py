from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config
from autotune.core.machine import Environment, Hardware
from autotune.core.rules import ConfirmRules
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study import evidence
from autotune.study.confirm import finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.ranking import Ranking
from tests.fake_executor import FakeExecutor
from tests.report.made import PLAIN, config, result
from tests.study.confirm.confirming import FIRST, HW, SECOND, by_trial, confirmed
from tests.study.confirm.finalist_runs import CONFIGS
from tests.study.fakes import Watcher, resolved, searched
from tests.study.model.posteriors import independent

NIGHTLY = {"nightly": Environment(prefix="/envs/nightly", python="3.12", packages=dict(HW.packages))}
WITH_NIGHTLY = msgspec.structs.replace(HW, environments=NIGHTLY)


def test_the_leader_is_measured_twice() -> None:
    assert list(CONFIGS) == ["trial-1", "trial-2", BASELINE, "trial-1-again"]
    assert CONFIGS["trial-1"] == CONFIGS["trial-1-again"]


def elsewhere(found: Config) -> Config:
    """The configuration in another environment."""
    return msgspec.structs.replace(found, knobs=found.knobs | {"interpreter": "nightly"})


def chosen(hw: Hardware) -> finalists.Finalists:
    """Finalists of a search whose best two trials ran in another environment."""
    trials = [
        result(0, PLAIN, rates=(10, 10)),
        result(1, elsewhere(config("onnxruntime", 8)), rates=(40, 40)),
        result(2, elsewhere(config("onnxruntime", 4)), rates=(30, 30)),
        result(3, config("onnxruntime", 8), rates=(20, 20)),
        result(4, config("onnxruntime", 4), rates=(15, 15)),
    ]
    space = msgspec.structs.replace(resolved(HW), baseline=PLAIN)
    return finalists.choose(Ranking(trials, space.goal), space, ConfirmRules(finalists=2), hw)


def test_what_cannot_run_here_any_more_is_no_finalist() -> None:
    assert list(chosen(WITH_NIGHTLY).trials) == ["trial-1", "trial-2", BASELINE]
    found = chosen(HW)
    assert list(found.trials) == ["trial-3", "trial-4", BASELINE]
    assert [line.split(":")[0] for line in found.unavailable] == [
        "trial 1 cannot run here any more",
        "trial 2 cannot run here any more",
    ]
    assert "nightly" in found.unavailable[0]


def test_a_confirmation_goes_on_with_the_others_and_says_so(tmp_path: Path) -> None:
    study, watcher = searched(tmp_path, {PLAIN: 10.2, elsewhere(FIRST): 30.0, SECOND: 20.0}), Watcher()
    found = confirmed(study, FakeExecutor(tmp_path), watcher=watcher)
    assert found is not None and found.winner is not None and found.winner.config == SECOND
    assert set(by_trial(found)) == {0, 2}
    assert watcher.notices[0].startswith("trial 1 cannot run here any more: interpreter: ")


def test_where_nothing_but_the_baseline_can_run_nothing_is_claimed(tmp_path: Path) -> None:
    study = searched(tmp_path, {PLAIN: 10.2, elsewhere(FIRST): 30.0})
    executor = FakeExecutor(tmp_path)
    found = confirmed(study, executor)
    assert found is not None and (found.confirmed, found.winner, executor.runs) == (False, None, [])
    assert found.reason is not None and found.reason.startswith("trial 1 cannot run here any more: interpreter: ")


def test_without_its_baseline_nothing_is_measured(tmp_path: Path) -> None:
    study = searched(tmp_path, {elsewhere(PLAIN): 10.2, FIRST: 30.0})
    study = dataclasses.replace(study, space=msgspec.structs.replace(study.space, baseline=elsewhere(PLAIN)))
    executor = FakeExecutor(tmp_path)
    found = confirmed(study, executor)
    assert found is not None and (found.confirmed, executor.runs) == (False, [])
    assert found.reason is not None and found.reason.startswith("the baseline cannot run here any more: interpreter: ")


def test_what_the_search_does_not_tell_apart_is_one_finalist_the_simplest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search's best differs from the next in its allocator, of which no effect is shown."""
    means = {config("torch_eager", 1): 1.0, tuned(8): 4.0, config("torch_eager", 8): 3.99, tuned(4): 3.0}
    trials = [result(number, one, rates=[mean, mean]) for number, (one, mean) in enumerate(means.items())]
    known = independent({one.key: mean for one, mean in means.items()}, 0.001)
    monkeypatch.setattr(evidence, "posterior", lambda *_: known)
    space = msgspec.structs.replace(resolved(HW), baseline=config("torch_eager", 1))
    ranking = Ranking(trials, space.goal)
    assert ranking.order()[0].spec.config == tuned(8)
    found = finalists.choose(ranking, space, ConfirmRules(finalists=2), HW)
    assert list(found.trials) == ["trial-2", "trial-3", BASELINE]


def test_one_is_compared_with_the_baseline_even_if_the_search_tells_none_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = [config("torch_eager", 1), tuned(8), config("torch_eager", 8)]
    trials = [result(number, one, rates=[10, 10]) for number, one in enumerate(tried)]
    known = independent(dict.fromkeys((one.key for one in tried), 0.0), 0.001)
    monkeypatch.setattr(evidence, "posterior", lambda *_: known)
    space = msgspec.structs.replace(resolved(HW), baseline=tried[0])
    found = finalists.choose(Ranking(trials, space.goal), space, ConfirmRules(), HW)
    assert list(found.trials) == ["trial-2", BASELINE]


def tuned(batch_size: int) -> Config:
    """With an allocator that the baseline does not have."""
    knobs: dict[str, Value] = {"allocator": "tcmalloc"}
    return configs.configure(HW, batch_size=batch_size, backend="torch_eager", options={}, knobs=knobs)


def test_what_an_earlier_confirmation_claims_is_a_finalist_unless_it_broke_a_limit() -> None:
    tried = [config("torch_eager", 1), tuned(8), config("torch_eager", 4)]
    trials = [result(n, one, rates=[rate, rate]) for n, (one, rate) in enumerate(zip(tried, (10, 40, 20), strict=True))]
    space = msgspec.structs.replace(resolved(HW), baseline=tried[0])
    ranking, rules = Ranking(trials, space.goal), ConfirmRules(finalists=1)

    def chosen(claimed: str | None, *excluded: str) -> list[str]:
        return list(finalists.choose(ranking, space, rules, HW, excluded, claimed).trials)

    assert chosen(None) == chosen(tried[1].key) == chosen("unknown") == ["trial-1", BASELINE]
    assert chosen(tried[2].key) == ["trial-1", "trial-2", BASELINE]
    assert chosen(tried[0].key) == ["trial-1", BASELINE]
    assert chosen(tried[2].key, tried[2].key) == ["trial-1", BASELINE]
