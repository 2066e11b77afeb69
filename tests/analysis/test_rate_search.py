from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis import rate_search, stats
from autotune.analysis.rate_search import Ask, Task
from autotune.core.results import Probe
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import ServingSpec
from tests.queueing import Queue, constant, varying

MS = 1_000_000
RULES = MeasureRules()
P99 = ServingSpec(latency_ms=100)
TASK = Task(serving=P99, capacity=100, batch_size=1, workers=1)
ASK = Ask(rate=50, seconds=2)


def judged(*latencies_ms: float, wanted: ServingSpec = P99, claim: bool = False, unanswered: int = 0) -> Probe:
    return rate_search.judged(ASK, [[int(ms * MS) for ms in latencies_ms]], unanswered, wanted, claim=claim)


# --------------------------------------------------------------------------------------------------------- a probe


@pytest.mark.parametrize(("percentile", "allowed"), [("p50", 100), ("p90", 20), ("p95", 10), ("p99", 2)])
def test_a_probe_keeps_the_limit_as_the_plain_percentile_does(percentile: str, allowed: int) -> None:
    wanted = msgspec.convert({"latency_ms": 100, "percentile": percentile}, ServingSpec)
    for over in (0, allowed, allowed + 1):
        probe = judged(*[101.0] * over, *[20.0] * (200 - over), wanted=wanted)
        assert (probe.requests, probe.over, probe.kept) == (200, over, over <= allowed)
        assert probe.latency_ms == (20.0 if over <= allowed else 101.0)
    assert (probe.rate, probe.seconds) == (ASK.rate, ASK.seconds)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=300), st.sampled_from(["p50", "p90", "p95", "p99"]))
def test_the_percentile_is_the_least_that_so_many_do_not_exceed(latencies: list[int], name: str) -> None:
    wanted = msgspec.convert({"latency_ms": 1000, "percentile": name}, ServingSpec)
    found = rate_search.judged(ASK, [latencies[::2], latencies[1::2]], 0, wanted).latency_ms
    share = int(name[1:]) / 100
    assert sum(ns / 1e6 <= found for ns in latencies) >= share * len(latencies) - 1e-9
    assert sum(ns / 1e6 < found for ns in latencies) < share * len(latencies)


def test_a_latency_at_the_limit_is_kept() -> None:
    assert judged(100.0).kept
    assert not judged(100.0, 100.001).kept


def test_a_probe_with_unanswered_requests_or_none_at_all_keeps_nothing() -> None:
    assert not judged(*[1.0] * 100, unanswered=1).kept
    probe = rate_search.judged(ASK, [[], []], 0, P99)
    assert (probe.requests, probe.over, probe.latency_ms, probe.kept) == (0, 0, 0.0, False)


@pytest.mark.parametrize(("rate", "seconds"), [(100.0, 60.0), (5.0, 105.6), (1.0, 527.9)])
def test_a_claims_probe_brings_the_requests_that_it_needs(rate: float, seconds: float) -> None:
    assert rate_search.claim_seconds(rate, P99) == pytest.approx(seconds, abs=0.1)
    mean = rate * seconds
    assert mean - 3 * mean**0.5 >= 458.9


@pytest.mark.parametrize("requests", [100, 459, 662, 5000])
def test_a_claim_needs_early_stopping(requests: int) -> None:
    allowed = stats.calls_over(requests, 0.99)
    for over in range(0 if allowed is None else allowed, 3 if allowed is None else allowed + 2):
        latencies = [101.0, 20.0] * over + [20.0] * (requests - 2 * over)
        assert judged(*latencies, claim=True).kept is (over == allowed)
    # the search is content with more where early stopping is stricter
    latencies = [101.0, 20.0] * (requests // 100) + [20.0] * (requests - 2 * (requests // 100))
    assert judged(*latencies).kept


# --------------------------------------------------------------------------------------------------------- growth


def test_overload_is_a_queue_that_grows() -> None:
    # a tenth too many for two seconds: the last one waits 0.2 s, which a limit of 10 s would allow
    overloaded = Queue(constant(0.01)).serve(110, 2, seed=1)
    wanted = ServingSpec(latency_ms=1000)
    assert max(overloaded[0]) < 1000 * MS
    assert rate_search.grew(overloaded, wanted)
    assert not rate_search.judged(ASK, overloaded, 0, wanted).kept


@pytest.mark.parametrize("seed", range(5))
def test_a_calm_queue_does_not_grow(seed: int) -> None:
    calm = Queue(constant(0.01), workers=2).serve(100, 2, seed)
    assert not rate_search.grew(calm, P99)


def test_growth_far_below_the_limit_does_not_matter() -> None:
    latencies = [[1 * MS] * 50 + [5 * MS] * 50]
    assert not rate_search.grew(latencies, ServingSpec(latency_ms=51))
    assert rate_search.grew(latencies, ServingSpec(latency_ms=49))


def test_few_requests_say_nothing_of_growth() -> None:
    assert not rate_search.grew([[20 * MS], [20 * MS, 90 * MS]], P99)


def test_growth_is_seen_where_each_worker_has_its_own_queue() -> None:
    rising = [int(ms * MS) for ms in np.linspace(1, 90, 40)]
    assert rate_search.grew([rising, rising], P99)
    assert not rate_search.grew([rising[::-1], rising], P99)


# ------------------------------------------------------------------------------------------------- the first rate


def test_the_search_begins_about_where_a_simulated_queue_keeps_the_limit() -> None:
    for size, workers, limit_ms in itertools.product((1, 8), (1, 4), (60, 200)):
        queue = Queue(constant(0.01 * size**0.5), size, workers)
        task = Task(serving=ServingSpec(latency_ms=limit_ms), capacity=queue.capacity, batch_size=size, workers=workers)
        assert 0.5 < rate_search.first(task, RULES) / queue.largest(task.serving) < 1.25


def test_a_limit_below_one_call_begins_with_the_least() -> None:
    task = msgspec.structs.replace(TASK, serving=ServingSpec(latency_ms=9))
    assert rate_search.first(task, RULES) == rate_search.lowest(task, RULES) == 5.0


def test_a_batch_that_must_not_wait_for_another_begins_low() -> None:
    task = Task(serving=ServingSpec(latency_ms=15), capacity=800, batch_size=8, workers=1)
    assert task.call_s == pytest.approx(0.01)
    assert rate_search.first(task, RULES) == pytest.approx(math.sqrt(40 * 800))


@pytest.mark.parametrize(("capacity", "least"), [(1000, 50), (20, 10 / 6), (1, 0.5)])
def test_the_least_rate_brings_some_requests(capacity: float, least: float) -> None:
    assert rate_search.lowest(msgspec.structs.replace(TASK, capacity=capacity), RULES) == pytest.approx(least)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.integers(1, 256), st.integers(1, 64))
def test_the_first_rate_is_one_that_can_be_probed(capacity: float, limit_ms: float, size: int, workers: int) -> None:
    task = Task(serving=ServingSpec(latency_ms=limit_ms), capacity=capacity, batch_size=size, workers=workers)
    assert rate_search.lowest(task, RULES) <= rate_search.first(task, RULES) <= capacity


# --------------------------------------------------------------------------------------------------- the next rate


def searched(kept: Callable[[Ask, int], bool], task: Task = TASK, rules: MeasureRules = RULES) -> list[Probe]:
    """All probes, answered by a rule that sees how often the rate was probed before."""
    probes: list[Probe] = []
    while (ask := rate_search.following(task, probes, rules)) is not None:
        assert len(probes) < 60
        before = sum(probe.rate == ask.rate for probe in probes)
        probes.append(
            Probe(rate=ask.rate, seconds=ask.seconds, requests=9, over=0, latency_ms=1.0, kept=kept(ask, before))
        )
    return probes


def seconds(probes: list[Probe]) -> float:
    return math.fsum(probe.seconds for probe in probes)


@given(st.floats(5.5, 99))
def test_the_search_ends_within_its_width_and_time(truth: float) -> None:
    probes = searched(lambda ask, _: ask.rate <= truth)
    found = rate_search.rate(probes, RULES)
    assert found <= truth
    assert seconds(probes) <= RULES.serve_s + RULES.probe_most_s
    assert all(RULES.probe_s <= probe.seconds <= RULES.probe_most_s for probe in probes)
    # the time may end the bisection early, but only where the first guess was far off
    if truth > 60:
        assert found >= truth / 1.15


@given(st.floats(5.5, 99))
def test_with_time_enough_the_width_is_met(truth: float) -> None:
    patient = msgspec.structs.replace(RULES, serve_s=1000.0)
    probes = searched(lambda ask, _: ask.rate <= truth, rules=patient)
    assert truth / (1 + RULES.serve_width) <= rate_search.rate(probes, patient) <= truth


def test_nothing_above_the_closed_loop_is_probed() -> None:
    probes = searched(lambda ask, _: True)
    assert all(probe.rate <= TASK.capacity for probe in probes)
    assert rate_search.rate(probes, RULES) >= TASK.capacity / (1 + RULES.serve_width)


def test_the_answer_was_kept_for_the_longest_length() -> None:
    probes = searched(lambda ask, _: ask.rate <= 70)
    kept = [probe.rate for probe in probes if probe.kept and probe.seconds == RULES.probe_most_s]
    assert rate_search.rate(probes, RULES) == max(kept)
    short = [probe.rate for probe in probes if probe.kept and probe.seconds < RULES.probe_most_s]
    assert rate_search.rate(probes, RULES) >= max(short)


def test_nothing_kept_is_zero_after_the_least_rate_failed_twice() -> None:
    probes = searched(lambda ask, _: False)
    assert rate_search.rate(probes, RULES) == 0
    assert [probe.rate for probe in probes[-2:]] == [rate_search.lowest(TASK, RULES)] * 2
    assert probes[-3].rate > probes[-2].rate


def test_a_limit_below_one_call_costs_two_probes() -> None:
    task = msgspec.structs.replace(TASK, serving=ServingSpec(latency_ms=9))
    assert len(searched(lambda ask, _: False, task)) == 2


@pytest.mark.parametrize("burst", range(8))
def test_a_burst_in_one_probe_does_not_decide(burst: int) -> None:
    number = itertools.count()
    truth = 85.0
    probes = searched(lambda ask, _: ask.rate <= truth and next(number) != burst)
    assert truth / 1.1 <= rate_search.rate(probes, RULES) <= truth


def test_the_rate_that_failed_is_probed_again_before_it_counts() -> None:
    probes = searched(lambda ask, _: ask.rate <= 85)
    failed = [probe.rate for probe in probes if not probe.kept]
    assert failed.count(min(failed)) == 2


def test_a_rate_that_only_short_probes_keep_goes_down() -> None:
    probes = searched(lambda ask, _: ask.rate <= (85 if ask.seconds < RULES.probe_most_s else 60))
    assert 60 / 1.25 <= rate_search.rate(probes, RULES) <= 60
    assert seconds(probes) <= 2 * RULES.serve_s


def test_a_long_probe_that_a_burst_failed_costs_little() -> None:
    long = itertools.count()
    probes = searched(lambda ask, _: ask.rate <= 70 and not (ask.seconds == RULES.probe_most_s and next(long) == 0))
    assert 70 / 1.1 <= rate_search.rate(probes, RULES) <= 70


def test_slow_models_have_long_probes() -> None:
    slow = Task(serving=ServingSpec(latency_ms=1000), capacity=10, batch_size=1, workers=1)
    probes = searched(lambda ask, _: ask.rate <= 6, slow)
    assert {probe.seconds for probe in probes} == {RULES.probe_most_s}
    assert 6 / 1.3 <= rate_search.rate(probes, RULES) <= 6
    assert seconds(probes) <= RULES.serve_s + RULES.probe_most_s


@given(st.lists(st.booleans(), max_size=60), st.floats(0.5, 1e5), st.integers(1, 32))
def test_every_search_ends(answers: list[bool], capacity: float, size: int) -> None:
    given = iter(answers)
    task = Task(serving=P99, capacity=capacity, batch_size=size, workers=1)
    probes = searched(lambda ask, _: next(given, False), task)
    assert seconds(probes) <= 4 * RULES.serve_s
    best = rate_search.rate(probes, RULES)
    assert best == 0 or any(probe.rate == best and probe.kept for probe in probes)


# --------------------------------------------------------------------------------------------- simulated queues


def found(queue: Queue, wanted: ServingSpec, seed: int) -> float:
    """What the search finds when the queue answers its probes."""
    task = Task(serving=wanted, capacity=queue.capacity, batch_size=queue.size, workers=queue.workers)
    probes: list[Probe] = []
    while (ask := rate_search.following(task, probes, RULES)) is not None:
        latencies = queue.serve(ask.rate, ask.seconds, seed * 100 + len(probes))
        probes.append(rate_search.judged(ask, latencies, 0, wanted))
    return rate_search.rate(probes, RULES)


@pytest.mark.parametrize(
    ("queue", "wanted"),
    [
        (Queue(constant(0.001)), ServingSpec(latency_ms=5)),
        (Queue(constant(0.002), workers=2), ServingSpec(latency_ms=10)),
        (Queue(varying(0.002, 0.2), workers=2), ServingSpec(latency_ms=10)),
        (Queue(constant(0.02), size=8, workers=2, delay_s=0.005), ServingSpec(latency_ms=60, queue_delay_ms=5)),
        (Queue(varying(0.02, 0.1), size=8), ServingSpec(latency_ms=80, percentile="p95")),
    ],
    ids=["one", "two", "varying", "batches", "p95"],
)
def test_the_rate_found_is_the_largest_that_keeps_the_limit(queue: Queue, wanted: ServingSpec) -> None:
    truth = queue.largest(wanted)
    answers = [found(queue, wanted, seed) for seed in range(1, 9)]
    assert np.median(answers) == pytest.approx(truth, rel=0.05)
    assert answers == pytest.approx([truth] * len(answers), rel=0.1)


def test_few_requests_scatter_about_the_truth() -> None:
    # some 800 requests in the longest probe: their p99 is the ninth largest
    queue, wanted = Queue(constant(0.004)), ServingSpec(latency_ms=20)
    truth = queue.largest(wanted)
    answers = [found(queue, wanted, seed) for seed in range(1, 17)]
    assert np.median(answers) == pytest.approx(truth, rel=0.1)
    assert answers == pytest.approx([truth] * len(answers), rel=0.3)


def test_a_limit_below_one_call_keeps_no_rate() -> None:
    assert found(Queue(constant(0.01)), ServingSpec(latency_ms=9), seed=1) == 0
    assert found(Queue(constant(0.01), size=4), ServingSpec(latency_ms=9.5), seed=1) == 0


def test_a_delay_trades_latency_for_fuller_batches() -> None:
    # alone in its batch a request takes a call as long as eight do
    waits = Queue(constant(0.01), size=8, delay_s=0.02)
    latencies = waits.serve(50, 100, seed=1)
    assert np.median(latencies[0]) / 1e6 > 20
    assert found(waits, ServingSpec(latency_ms=25, queue_delay_ms=20), seed=1) == 0
