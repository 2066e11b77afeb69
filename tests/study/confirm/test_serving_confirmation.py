from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from autotune.analysis.rate_probe import CLAIM_S
from autotune.core.answers import Fidelity
from autotune.core.config import Config
from autotune.core.confirmation import Confirmation
from autotune.core.results import Served
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Limit
from autotune.core.workload_spec import ServingSpec
from autotune.report.text import study_reader
from autotune.space import configs
from autotune.study.confirm import stage
from autotune.study.confirm.served_finalist import LOWER
from autotune.study.confirm.serving_confirmation import FINALISTS, FOLDER, START_S
from autotune.study.storage import store
from autotune.study.storage.opening import OpenStudy
from tests.fake_executor import FakeExecutor
from tests.study.fakes import Watcher, machine, plain, searched

HW = machine()
PLAIN = plain(HW)
FAST = configs.configure(HW, batch_size=8, backend="openvino")
OTHER = configs.configure(HW, batch_size=4, backend="openvino")
RULES, CONFIRM = MeasureRules(), ConfirmRules()
AMPLE = 30.0
MEMORY = Limit(metric="peak_rss_bytes", max=2**30)


def server(
    serves: dict[Config, float],
    shows: dict[Config, dict[str, float | Fidelity]] | None = None,
    interrupt_at: int | None = None,
) -> FakeExecutor:
    """An executor that keeps these rates of requests."""
    return FakeExecutor(serves=serves, shows=shows or {}, interrupt_request=interrupt_at)


def opened(
    folder: Path,
    rates: dict[Config, float],
    minutes: float = AMPLE,
    constraints: tuple[Limit, ...] = (),
    serving: ServingSpec | None = None,
    feasible: dict[Config, bool] | None = None,
) -> OpenStudy:
    """A study whose search found these rates of requests."""
    served = {config: Served(rate=rate, probes=()) for config, rate in rates.items()}
    infeasible = {config: False for config, rate in rates.items() if rate == 0} | (feasible or {})
    fields = {"served": served, "feasible": infeasible}
    study = searched(folder, dict.fromkeys(rates, 10.0), minutes, constraints, **fields)
    workload = msgspec.structs.replace(study.space.workload, serving=serving)
    wanted = msgspec.structs.replace(study.space, objective="served_rate", workload=workload)
    return OpenStudy(folder=folder, space=wanted, hardware=HW, optuna=study.optuna)


def run(study: OpenStudy, executor: FakeExecutor) -> Confirmation | None:
    found = stage.confirm(study, executor, Watcher(), RULES, CONFIRM, clock=executor.clock)
    assert executor.runs == []
    return found


def confirmed(
    folder: Path,
    rates: dict[Config, float],
    executor: FakeExecutor,
    minutes: float = AMPLE,
    constraints: tuple[Limit, ...] = (),
    serving: ServingSpec | None = None,
    feasible: dict[Config, bool] | None = None,
) -> Confirmation:
    """The confirmation after a search that found these rates of requests."""
    found = run(opened(folder, rates, minutes, constraints, serving, feasible), executor)
    assert found is not None
    assert store.confirmation(folder) == found
    return found


def minutes(*seconds: float) -> float:
    """A budget whose confirmation has just enough time for so many seconds of requests."""
    return (sum(one + START_S for one in seconds) + 1) / 60


def outcomes(found: Confirmation) -> list[str | None]:
    return [one.served for one in found.finalists]


# ---------------------------------------------------------------------------------------------------------- winning


def test_the_best_rate_that_is_kept_for_a_minute_wins(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 100.0, OTHER: 70.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, OTHER: 60.0, FAST: 80.0}, executor)
    assert found.winner is not None and found.winner.sustained is not None and found.winner.ratio is not None
    assert (found.confirmed, found.gain, found.winner.config) == (True, True, FAST)
    assert (found.winner.sustained.rate, found.winner.metrics["served_rate"]) == (80.0, 80.0)
    assert found.winner.ratio.estimate == pytest.approx(8.0) and found.winner.ratio.low is None
    assert executor.requests == [(FAST, 80.0), (PLAIN, 10.0)]  # the other could not have won
    assert outcomes(found) == [
        "kept 80 requests a second for 60 s",
        "not tried: 60 requests a second cannot win",
        "kept 10 requests a second for 60 s",
    ]


def test_a_rate_that_is_not_kept_is_lowered_with_the_plain_model_in_between(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 70.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, executor)
    assert found.winner is not None and found.winner.sustained is not None
    assert found.winner.sustained.rate == pytest.approx(80 * LOWER**2)
    assert [config for config, _ in executor.requests] == [FAST, PLAIN, FAST, FAST]
    assert [rate for config, rate in executor.requests if config == FAST] == pytest.approx([80, 72, 64.8])


def test_what_is_lowered_gives_way_to_a_larger_rate(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 60.0, OTHER: 78.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, OTHER: 78.0, FAST: 80.0}, executor)
    assert found.winner is not None and found.winner.config == OTHER
    assert [config for config, _ in executor.requests] == [FAST, PLAIN, OTHER]
    assert outcomes(found)[0] == "did not keep 80 requests a second; 72 requests a second cannot win"


def test_a_finalist_that_fails_gives_way_and_says_why(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, OTHER: 60.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, OTHER: 60.0, FAST: 80.0}, executor)
    assert found.winner is not None and found.winner.config == OTHER
    assert [one.error for one in found.finalists] == ["it broke", None, None]


def test_without_a_gain_the_plain_model_wins(tmp_path: Path) -> None:
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 12.0}, server({PLAIN: 10.0, FAST: 9.0}))
    assert (found.confirmed, found.gain) == (True, False)
    assert found.winner is not None and found.winner.config == PLAIN


def test_a_plain_model_whose_rate_is_not_known_is_no_gains_measure(tmp_path: Path) -> None:
    """It failed; or the search found that it keeps no rate at all, which is known."""
    found = confirmed(tmp_path / "failed", {PLAIN: 10.0, FAST: 80.0}, server({FAST: 80.0}))
    assert found.winner is not None
    assert (found.winner.config, found.winner.ratio, found.gain) == (FAST, None, False)
    found = confirmed(tmp_path / "zero", {PLAIN: 0.0, FAST: 80.0}, server({FAST: 80.0}))
    assert found.winner is not None
    assert (found.winner.config, found.winner.ratio, found.gain) == (FAST, None, True)
    assert outcomes(found)[1] == "the search found no rate of requests that it keeps"


def test_where_no_rate_was_found_there_is_nothing_to_confirm(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 80.0})
    assert run(opened(tmp_path, {PLAIN: 0.0, FAST: 0.0}), executor) is None
    assert executor.requests == []


# ---------------------------------------------------------------------------------------------------------- limits


def test_limits_are_judged_again_on_the_workers_that_kept_the_rate(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 80.0, OTHER: 60.0}, {FAST: {"peak_rss_bytes": 2**31}})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0, OTHER: 60.0}, executor, constraints=(MEMORY,))
    assert found.winner is not None and (found.winner.config, found.gain) == (OTHER, True)
    assert found.finalists[0].broken == "peak_rss_bytes is 2.147e+09, allowed at most 1.07374e+09"
    (tmp_path / "domains.json").write_bytes(store.encode(opened(tmp_path / "b", {PLAIN: 1.0, FAST: 2.0}).space))
    (tmp_path / "hardware.json").write_bytes(store.encode(HW))
    assert [one.feasible for one in study_reader.read(tmp_path).results] == [True, False, True]


def test_what_the_workers_showed_is_the_winners(tmp_path: Path) -> None:
    close = Fidelity(judged=True, samples=8, cosine_similarity=0.9, centred_error=0.05, max_abs_error=0.1)
    figures = {FAST: {"peak_rss_bytes": 2**20, "setup_s": 2.5, "fidelity": close}}
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, server({PLAIN: 10.0, FAST: 80.0}, figures))
    assert found.winner is not None
    assert (found.winner.peak_rss_bytes, found.winner.setup_s, found.winner.fidelity) == (2**20, 2.5, close)
    assert found.winner.metrics["centred_error"] == 0.05


def test_a_plain_model_that_breaks_a_limit_is_served_and_cannot_win(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 7.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 7.0}, executor, feasible={PLAIN: False})
    assert found.winner is not None and found.winner.ratio is not None
    assert (found.winner.config, found.gain) == (FAST, False)
    assert found.winner.ratio.estimate == pytest.approx(0.7)


# ------------------------------------------------------------------------------------------------------------ time


def test_no_minute_begins_that_cannot_end_in_time(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 80.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, executor, minutes(CLAIM_S))
    assert [config for config, _ in executor.requests] == [FAST]
    assert found.confirmed and found.winner is not None
    assert (found.winner.ratio, found.gain) == (None, False)
    assert outcomes(found)[1] == "not tried: no time for 10 requests a second"
    none = confirmed(tmp_path / "short", {PLAIN: 10.0, FAST: 80.0}, server({}), minutes=0.1)
    assert (none.confirmed, none.winner) == (False, None)
    assert none.reason is not None and none.reason.startswith("the time was not enough to serve 80 requests a second")


def test_the_plain_model_does_not_win_while_a_better_one_was_not_tried(tmp_path: Path) -> None:
    executor = server({PLAIN: 10.0, FAST: 70.0})
    found = confirmed(tmp_path, {PLAIN: 10.0, FAST: 80.0}, executor, minutes(CLAIM_S, CLAIM_S))
    assert [config for config, _ in executor.requests] == [FAST, PLAIN]
    assert (found.confirmed, found.gain) == (False, False)
    assert found.reason is not None and "to serve 72 requests a second for the 60 s" in found.reason
    assert outcomes(found)[0] == "did not keep 80 requests a second; no time for 72 requests a second"


def test_a_low_rate_is_served_until_its_requests_back_the_percentile(tmp_path: Path) -> None:
    serving = ServingSpec(latency_ms=100)
    executor = server({PLAIN: 2.0, FAST: 80.0})
    confirmed(tmp_path, {PLAIN: 2.0, FAST: 80.0}, executor, serving=serving)
    assert executor.seconds == pytest.approx([60, 264.0], abs=0.1)
    short = server({PLAIN: 2.0, FAST: 4.0})
    found = confirmed(tmp_path / "b", {PLAIN: 2.0, FAST: 4.0}, short, minutes(CLAIM_S), serving=serving)
    assert (short.requests, found.confirmed) == ([], False)
    assert found.reason is not None and "for the 132 s that a claim needs; raise --minutes" in found.reason


# ---------------------------------------------------------------------------------------------------------- going on


def test_what_was_served_before_an_interruption_is_not_served_again(tmp_path: Path) -> None:
    study = opened(tmp_path, {PLAIN: 10.0, FAST: 80.0})
    with pytest.raises(KeyboardInterrupt):
        run(study, server({PLAIN: 10.0, FAST: 70.0}, interrupt_at=3))
    assert (tmp_path / FOLDER / "trial-1-0" / "sustained.json").exists()
    executor = server({PLAIN: 10.0, FAST: 70.0})
    found = run(study, executor)
    assert found is not None and found.winner is not None and found.winner.config == FAST
    assert [config for config, _ in executor.requests] == [FAST, FAST]


def test_what_other_package_versions_served_is_served_again(tmp_path: Path) -> None:
    study = opened(tmp_path, {PLAIN: 10.0, FAST: 80.0})
    run(study, server({PLAIN: 10.0, FAST: 80.0}))
    (tmp_path / "confirmation.json").unlink()
    upgraded = msgspec.structs.replace(HW, packages=HW.packages | {"openvino": "2.0"})
    executor = server({PLAIN: 10.0, FAST: 80.0})
    executor.hardware = upgraded
    found = run(dataclasses.replace(study, hardware=upgraded), executor)
    assert executor.requests == [(FAST, 80.0)]
    assert found is not None and found.winner is not None and found.winner.versions == {"openvino": "2.0"}


def test_a_failure_is_tried_again(tmp_path: Path) -> None:
    study = opened(tmp_path, {PLAIN: 10.0, FAST: 80.0})
    run(study, server({PLAIN: 10.0}))
    (tmp_path / "confirmation.json").unlink()
    executor = server({PLAIN: 10.0, FAST: 80.0})
    found = run(study, executor)
    assert found is not None and found.winner is not None and found.winner.config == FAST
    assert executor.requests == [(FAST, 80.0)]


def test_so_few_finalists_are_served_as_fit_into_some_minutes(tmp_path: Path) -> None:
    rates = {configs.configure(HW, batch_size=size, backend="openvino"): 10.0 * size for size in (1, 2, 4, 8, 16)}
    study = opened(tmp_path, {PLAIN: 10.0} | rates)
    executor = server({PLAIN: 10.0} | rates)
    found = stage.confirm(study, executor, Watcher(), RULES, CONFIRM, clock=executor.clock)
    assert found is not None and len(found.finalists) == FINALISTS + 1 < CONFIRM.finalists
