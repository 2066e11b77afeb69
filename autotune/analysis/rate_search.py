"""Search for the highest request rate that keeps a latency limit: bisection on log rate over the probes made so far.

Rates are requests a second, one sample each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.analysis.rate_probe import ProbeSpec, percentage
from autotune.core.results import Probe
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct
from autotune.core.workload_spec import ServingSpec

STEP_DOWN = math.log(1.25)
"""The first step down where no rate was kept yet (log rate); each further one is twice as long."""

STEP_BACK = math.log(1.05)
"""The same where short probes kept a rate and long ones did not; each further one is half as long again."""

RESERVE = 2.5
"""The bisection leaves the time of so many longest probes for the rate that it finds."""

LEAST_REQUESTS = 10
"""So many arrive in the longest probe at the lowest rate, unless that is half of the capacity."""


class SystemUnderTest(Struct):
    """The loaded workers, and the latency limit that they must keep.

    `capacity` is their rate in a closed loop, which nothing lasting exceeds.
    """

    serving: ServingSpec
    capacity: float
    batch_size: int
    workers: int

    @property
    def call_s(self) -> float:
        """The seconds of one call."""
        return self.batch_size * self.workers / self.capacity


Failed = Mapping[float, Sequence[Probe]]
"""The deciding probes of each rate that was not kept."""


@dataclass(frozen=True)
class _Bracket:
    """The bounds of the search: the highest rate that was kept below all failed ones, and the failed ones.

    `confirmed`: a probe of the longest length kept the lower bound. `contradicted`: shorter probes kept a rate that
    those of the longest length did not.
    """

    low: float | None
    failed: Failed
    confirmed: bool
    contradicted: bool


# ------------------------------------------------------------------------------------------------------- the search


def highest_rate(probes: Sequence[Probe], rules: MeasureRules) -> float:
    """The result of the search: the highest rate that a probe of the longest length kept; 0 where none did."""
    return max((probe.rate for probe in probes if probe.kept and _longest(probe, rules)), default=0.0)


def next_probe(system: SystemUnderTest, probes: Sequence[Probe], rules: MeasureRules) -> ProbeSpec | None:
    """The next probe; None once the answer is known or the time for better ones is over.

    Bisection between the highest rate that was kept and the lowest that was not, which is probed again at the end: a
    neighbour's burst fails a probe, and nothing mends one. The rate found must then be kept for the longest length, or
    the rate goes down until one is.
    """
    if not probes:
        return _probe(first_rate(system, rules), rules)
    bracket, lowest = _bracket(probes, rules), lowest_rate(system, rules)
    if bracket.contradicted:
        return None if highest_rate(probes, rules) else _step_back(lowest, bracket.failed, rules)
    left_s = rules.serve_s - math.fsum(probe.seconds for probe in probes)
    if bracket.low is None:
        return _step_down(lowest, bracket.failed, left_s, rules)
    middle = _bisect(bracket.low, system.capacity, bracket.failed, rules)
    if middle is not None:
        seconds = rules.probe_most_s if bracket.confirmed else middle.seconds
        reserve_s = 0.0 if seconds >= rules.probe_most_s else RESERVE * rules.probe_most_s
        if seconds + reserve_s <= left_s:
            return ProbeSpec(rate=middle.rate, seconds=seconds)
    return None if bracket.confirmed else ProbeSpec(rate=bracket.low, seconds=rules.probe_most_s)


def _bracket(probes: Sequence[Probe], rules: MeasureRules) -> _Bracket:
    """The bounds that these probes leave; a rate was kept if one of its deciding probes kept the limit."""
    deciding = _deciding(probes, rules)
    failed = {rate: group for rate, group in deciding.items() if not any(probe.kept for probe in group)}
    high = min(failed, default=math.inf)
    low = max((rate for rate in deciding if rate < high), default=None)
    return _Bracket(
        low=low,
        failed=failed,
        confirmed=low is not None and _longest(deciding[low][0], rules),
        contradicted=any(probe.kept for probe in probes if probe.rate in failed),
    )


def _deciding(probes: Sequence[Probe], rules: MeasureRules) -> dict[float, list[Probe]]:
    """The probes of the longest length of each rate, or where there are none all of them."""
    by_rate: dict[float, list[Probe]] = {}
    for probe in probes:
        by_rate.setdefault(probe.rate, []).append(probe)
    return {rate: [probe for probe in group if _longest(probe, rules)] or group for rate, group in by_rate.items()}


def _longest(probe: Probe, rules: MeasureRules) -> bool:
    return probe.seconds >= rules.probe_most_s


# -------------------------------------------------------------------------------------------------- rates to probe


def lowest_rate(system: SystemUnderTest, rules: MeasureRules) -> float:
    """The lowest rate that is probed: a small part of the closed loop's that still brings some requests."""
    return min(max(rules.serve_least * system.capacity, LEAST_REQUESTS / rules.probe_most_s), system.capacity / 2)


def first_rate(system: SystemUnderTest, rules: MeasureRules) -> float:
    """The first rate that is probed: about where a queue of this kind keeps the limit.

    Kingman's heavy-traffic approximation (1961): waiting is exponential with mean s·(ca² + cs²)/2·r/(1 − r), r being
    the load. Calls take a constant s (cs² = 0), and one begins for every batch_size·workers Poisson arrivals, so that
    ca² is 1 over that and s·ca² is 1 over the capacity.
    """
    lowest = lowest_rate(system, rules)
    limit_s = system.serving.latency_ms / 1e3
    slack_s = limit_s - system.call_s * (1 if system.batch_size == 1 else 2)
    if limit_s < system.call_s:
        return lowest
    if slack_s <= 0:
        return math.sqrt(lowest * system.capacity)
    ratio = 2 * system.capacity * slack_s / -math.log(1 - percentage(system.serving) / 100)
    return max(lowest, system.capacity * ratio / (1 + ratio))


def _probe(rate: float, rules: MeasureRules) -> ProbeSpec:
    return ProbeSpec(rate=rate, seconds=min(max(rules.probe_s, rules.probe_requests / rate), rules.probe_most_s))


def _again(failed: Sequence[Probe]) -> ProbeSpec:
    return ProbeSpec(rate=failed[0].rate, seconds=failed[0].seconds)


def _step_down(lowest: float, failed: Failed, left_s: float, rules: MeasureRules) -> ProbeSpec | None:
    """Below all that failed, in growing steps; at last the lowest rate, and that twice."""
    high = min(failed)
    if high <= lowest:
        return _again(failed[high]) if len(failed[high]) == 1 else None
    down = high * math.exp(-STEP_DOWN * 2 ** (len(failed) - 1)) if left_s > 0 else lowest
    return _probe(max(lowest, down), rules)


def _step_back(lowest: float, failed: Failed, rules: MeasureRules) -> ProbeSpec | None:
    """Below the rates that long probes did not keep: a little at first, so that a burst costs little."""
    high = min(failed)
    if high <= lowest:
        return None
    tried = sum(_longest(group[0], rules) for group in failed.values())
    down = high * math.exp(-STEP_BACK * 1.5 ** (tried - 1))
    return ProbeSpec(rate=max(lowest, down), seconds=rules.probe_most_s)


def _bisect(low: float, capacity: float, failed: Failed, rules: MeasureRules) -> ProbeSpec | None:
    """The middle of both bounds, or the upper one again; None where there is nothing more to learn."""
    high = min(failed, default=capacity)
    if high / low > 1 + rules.serve_width:
        return _probe(math.sqrt(low * high), rules)
    return _again(failed[high]) if high in failed and len(failed[high]) == 1 else None
