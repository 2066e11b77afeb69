from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.analysis import rate_probe, rate_search
from autotune.analysis.rate_probe import ProbeSpec
from autotune.analysis.rate_search import SystemUnderTest
from autotune.core.results import Probe
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import ServingSpec
from tests.queueing import Queue, constant, varying

RULES = MeasureRules()
P99 = ServingSpec(latency_ms=100)
SYSTEM = SystemUnderTest(serving=P99, capacity=100, batch_size=1, workers=1)


def under_test(limit_ms: float, capacity: float, size: int, workers: int) -> SystemUnderTest:
    return SystemUnderTest(
        serving=ServingSpec(latency_ms=limit_ms), capacity=capacity, batch_size=size, workers=workers
    )


# ------------------------------------------------------------------------------------------------- the first rate


def test_the_search_begins_about_where_a_simulated_queue_keeps_the_limit() -> None:
    for size, workers, limit_ms in itertools.product((1, 8), (1, 4), (60, 200)):
        queue = Queue(constant(0.01 * size**0.5), size, workers)
        system = under_test(limit_ms, queue.capacity, size, workers)
        assert 0.5 < rate_search.first_rate(system, RULES) / queue.largest(system.serving) < 1.25


@pytest.mark.parametrize(
    ("limit_ms", "capacity", "size", "rate"),
    [
        (100, 100, 1, 79.6278013),  # waiting for 90 ms/-ln 0.01 = 19.54 ms on average: r/(1 - r) = 19.54/5
        (60, 800, 8, 746.2994387),  # two calls of 10 ms leave 40 ms: r/(1 - r) = 8.686/0.625
        (10, 100, 1, math.sqrt(5 * 100)),  # just one call
    ],
)
def test_the_first_rate_is_kingmans(limit_ms: float, capacity: float, size: int, rate: float) -> None:
    system = under_test(limit_ms, capacity, size, 1)
    assert rate_search.first_rate(system, RULES) == pytest.approx(rate, rel=1e-6)


def test_a_limit_below_one_call_begins_with_the_least() -> None:
    system = msgspec.structs.replace(SYSTEM, serving=ServingSpec(latency_ms=9))
    assert rate_search.first_rate(system, RULES) == rate_search.lowest_rate(system, RULES) == 5.0


def test_a_batch_that_must_not_wait_for_another_begins_low() -> None:
    system = under_test(15, 800, 8, 1)
    assert system.call_s == pytest.approx(0.01)
    assert under_test(15, 800, 8, 2).call_s == pytest.approx(0.02)
    assert rate_search.first_rate(system, RULES) == pytest.approx(math.sqrt(40 * 800))


@pytest.mark.parametrize(("capacity", "least"), [(1000, 50), (20, 10 / 6), (1, 0.5)])
def test_the_least_rate_brings_some_requests(capacity: float, least: float) -> None:
    assert rate_search.lowest_rate(msgspec.structs.replace(SYSTEM, capacity=capacity), RULES) == pytest.approx(least)


@given(st.floats(0.01, 1e6), st.floats(0.01, 1e6), st.integers(1, 256), st.integers(1, 64))
def test_the_first_rate_is_one_that_can_be_probed(capacity: float, limit_ms: float, size: int, workers: int) -> None:
    system = under_test(limit_ms, capacity, size, workers)
    assert rate_search.lowest_rate(system, RULES) <= rate_search.first_rate(system, RULES) <= capacity


# --------------------------------------------------------------------------------------------------- the next rate


def searched(
    kept: Callable[[ProbeSpec, int], bool], system: SystemUnderTest = SYSTEM, rules: MeasureRules = RULES
) -> list[Probe]:
    """All probes, answered by a rule that sees how often the rate was probed before."""
    probes: list[Probe] = []
    while (spec := rate_search.next_probe(system, probes, rules)) is not None:
        assert len(probes) < 60
        before = sum(probe.rate == spec.rate for probe in probes)
        probes.append(
            Probe(rate=spec.rate, seconds=spec.seconds, requests=9, over=0, latency_ms=1.0, kept=kept(spec, before))
        )
    return probes


def seconds(probes: list[Probe]) -> float:
    return math.fsum(probe.seconds for probe in probes)


@given(st.floats(5.5, 99))
def test_the_search_ends_within_its_width_and_time(truth: float) -> None:
    probes = searched(lambda spec, _: spec.rate <= truth)
    found = rate_search.highest_rate(probes, RULES)
    assert found <= truth
    assert seconds(probes) <= RULES.serve_s + RULES.probe_most_s
    assert all(RULES.probe_s <= probe.seconds <= RULES.probe_most_s for probe in probes)
    # the time may end the bisection early, but only where the first guess was far off
    if truth > 60:
        assert found >= truth / 1.15


@given(st.floats(5.5, 99))
def test_with_time_enough_the_width_is_met(truth: float) -> None:
    patient = msgspec.structs.replace(RULES, serve_s=1000.0)
    probes = searched(lambda spec, _: spec.rate <= truth, rules=patient)
    assert truth / (1 + RULES.serve_width) <= rate_search.highest_rate(probes, patient) <= truth


def test_nothing_above_the_closed_loop_is_probed() -> None:
    probes = searched(lambda spec, _: True)
    assert all(probe.rate <= SYSTEM.capacity for probe in probes)
    assert rate_search.highest_rate(probes, RULES) >= SYSTEM.capacity / (1 + RULES.serve_width)


def test_the_answer_was_kept_for_the_longest_length() -> None:
    probes = searched(lambda spec, _: spec.rate <= 70)
    kept = [probe.rate for probe in probes if probe.kept and probe.seconds == RULES.probe_most_s]
    assert rate_search.highest_rate(probes, RULES) == max(kept)
    short = [probe.rate for probe in probes if probe.kept and probe.seconds < RULES.probe_most_s]
    assert rate_search.highest_rate(probes, RULES) >= max(short)


def test_nothing_kept_is_zero_after_the_least_rate_failed_twice() -> None:
    probes = searched(lambda spec, _: False)
    assert rate_search.highest_rate(probes, RULES) == 0
    assert [probe.rate for probe in probes[-2:]] == [rate_search.lowest_rate(SYSTEM, RULES)] * 2
    assert probes[-3].rate > probes[-2].rate


def test_a_limit_below_one_call_costs_two_probes() -> None:
    system = msgspec.structs.replace(SYSTEM, serving=ServingSpec(latency_ms=9))
    assert len(searched(lambda spec, _: False, system)) == 2


@pytest.mark.parametrize("burst", range(8))
def test_a_burst_in_one_probe_does_not_decide(burst: int) -> None:
    number = itertools.count()
    truth = 85.0
    probes = searched(lambda spec, _: spec.rate <= truth and next(number) != burst)
    assert truth / 1.1 <= rate_search.highest_rate(probes, RULES) <= truth


def test_the_rate_that_failed_is_probed_again_before_it_counts() -> None:
    probes = searched(lambda spec, _: spec.rate <= 85)
    failed = [probe.rate for probe in probes if not probe.kept]
    assert failed.count(min(failed)) == 2


def test_a_rate_that_only_short_probes_keep_goes_down() -> None:
    probes = searched(lambda spec, _: spec.rate <= (85 if spec.seconds < RULES.probe_most_s else 60))
    assert 60 / 1.25 <= rate_search.highest_rate(probes, RULES) <= 60
    assert seconds(probes) <= 2 * RULES.serve_s


def test_a_long_probe_that_a_burst_failed_costs_little() -> None:
    long = itertools.count()
    probes = searched(lambda spec, _: spec.rate <= 70 and not (spec.seconds == RULES.probe_most_s and next(long) == 0))
    assert 70 / 1.1 <= rate_search.highest_rate(probes, RULES) <= 70


def test_slow_models_have_long_probes() -> None:
    slow = SystemUnderTest(serving=ServingSpec(latency_ms=1000), capacity=10, batch_size=1, workers=1)
    probes = searched(lambda spec, _: spec.rate <= 6, slow)
    assert {probe.seconds for probe in probes} == {RULES.probe_most_s}
    assert 6 / 1.3 <= rate_search.highest_rate(probes, RULES) <= 6
    assert seconds(probes) <= RULES.serve_s + RULES.probe_most_s


@given(st.lists(st.booleans(), max_size=60), st.floats(0.5, 1e5), st.integers(1, 32))
def test_every_search_ends(answers: list[bool], capacity: float, size: int) -> None:
    given = iter(answers)
    system = SystemUnderTest(serving=P99, capacity=capacity, batch_size=size, workers=1)
    probes = searched(lambda spec, _: next(given, False), system)
    assert seconds(probes) <= 4 * RULES.serve_s
    best = rate_search.highest_rate(probes, RULES)
    assert best == 0 or any(probe.rate == best and probe.kept for probe in probes)


# ----------------------------------------------------------------------------------------------- from these probes


def made(*rows: tuple[float, float, bool]) -> list[Probe]:
    """Probes of a rate, for so many seconds, that kept the limit or did not."""
    return [
        Probe(rate=rate, seconds=length, requests=9, over=0, latency_ms=1.0, kept=kept) for rate, length, kept in rows
    ]


@pytest.mark.parametrize(
    ("probes", "rate", "length"),
    [
        ([(64, 4, True), (81, 4, False)], 72, 2),  # 17 s are left: 2 s, and the 15 s of the reserve
        ([(64, 4, True), (81, 4.1, False)], 64, 6),  # less than that: the rate found must be confirmed
        ([(64, 6, True), (81, 5, False)], 72, 6),  # once it is, all probes are long
        ([(64, 6, True), (81, 13, False)], 72, 6),  # and need no reserve
        ([(64, 2, True), (81, 2, False), (81, 2, True)], 90, 2),  # one of both kept it
        ([(49, 2, True), (64, 2, False), (72, 2, True), (81, 2, False)], 56, 2),  # kept above a failed rate
        ([(20, 6, True), (21, 2, False)], 21, 6),  # near enough: the upper bound again
        ([(80, 24.5, False)], 80 / 1.25, 2),  # nothing kept: down by steps
        ([(80, 2, False), (64, 2, False)], 64 / 1.25**2, 100 / 40.96),  # the next one twice as long
        ([(80, 25, False)], 5, 6),  # once the time is over to the lowest rate
        ([(80, 2, True), (80, 6, False)], 80 / 1.05, 6),  # kept by short probes alone: down a little
        ([(80, 2, True), (80, 6, False), (76, 6, False)], 76 / 1.05**1.5, 6),
    ],
)
def test_the_next_probe_follows_from_what_was_kept_and_what_was_not(
    probes: list[tuple[float, float, bool]], rate: float, length: float
) -> None:
    spec = rate_search.next_probe(SYSTEM, made(*probes), RULES)
    assert spec is not None
    assert (spec.rate, spec.seconds) == pytest.approx((rate, length))


@pytest.mark.parametrize(
    "probes",
    [
        [(64, 6, True), (81, 13.1, False)],  # less time than a probe takes
        [(20, 6, True), (21, 2, False), (21, 2, False)],  # near enough, and the upper bound failed twice
    ],
)
def test_a_confirmed_rate_is_the_answer_once_there_is_nothing_more_to_learn(
    probes: list[tuple[float, float, bool]],
) -> None:
    assert rate_search.next_probe(SYSTEM, made(*probes), RULES) is None


# --------------------------------------------------------------------------------------------- simulated queues


def found(queue: Queue, wanted: ServingSpec, seed: int) -> float:
    """The rate that the search finds when the queue answers its probes."""
    system = SystemUnderTest(serving=wanted, capacity=queue.capacity, batch_size=queue.size, workers=queue.workers)
    probes: list[Probe] = []
    while (spec := rate_search.next_probe(system, probes, RULES)) is not None:
        latencies = queue.serve(spec.rate, spec.seconds, seed * 100 + len(probes))
        probes.append(rate_probe.evaluate(spec, latencies, 0, wanted))
    return rate_search.highest_rate(probes, RULES)


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
