"""The largest rate of requests that keeps its latency: whether a probe kept it, and which rate to probe next.

Rates are those of requests a second, one sample each. Everything is decided from the probes made so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from autotune.analysis import stats
from autotune.core.results import Probe
from autotune.core.rules import MeasureRules
from autotune.core.struct import Struct
from autotune.core.workload_spec import ServingSpec

STEP = math.log(1.25)
"""The first step down where nothing was kept yet (log rate); each further one is twice as long."""

BACK = math.log(1.05)
"""The same where short probes kept a rate and long ones did not; each further one is half as long again."""

RESERVE = 2.5
"""The time of so many longest probes is kept back from the bisection for the rate that it finds."""

GROWTH = 2.0
"""A queue grew if later requests took so many times as long as earlier ones: it grew by four calls or more."""

MATTERS = 0.1
"""It matters from this part of the limit on."""

FEW = 20
"""Of fewer requests nobody can say that later ones took longer."""

CLAIM_S = 60.0
"""How long a rate is kept for a claim, where that brings requests enough."""

SURE = 3.0
"""A claim's probe is so long that its requests are too few only beyond so many standard deviations."""

LEAST_REQUESTS = 10
"""So many arrive in the longest probe at the least rate, unless that is half of the capacity."""


class Ask(Struct):
    """A probe to make."""

    rate: float
    seconds: float


class Task(Struct):
    """What is asked of a configuration, and what its closed loop says of it.

    `capacity` is its rate there, which nothing lasting exceeds; `batch_size` and `workers` share it.
    """

    serving: ServingSpec
    capacity: float
    batch_size: int
    workers: int

    @property
    def call_s(self) -> float:
        """How long a call takes."""
        return self.batch_size * self.workers / self.capacity


# --------------------------------------------------------------------------------------------------------- a probe


def judged(
    ask: Ask, latencies_ns: Sequence[Sequence[int]], unanswered: int, serving: ServingSpec, *, claim: bool = False
) -> Probe:
    """The probe that these requests make: latencies by worker, in the order of arrival.

    The limit is kept if the plain empirical percentile is within it, or for a `claim` by MLPerf's early-stopping rule
    (`stats.calls_over`), which too few requests never meet; if every request was answered; and if the queue did not
    grow.
    """
    percent = _percent(serving)
    found = np.sort(np.concatenate([np.asarray(share, np.float64) for share in latencies_ns])) / 1e6
    count = len(found)
    over = int(np.count_nonzero(found > serving.latency_ms))
    allowed = stats.calls_over(count, percent / 100) if claim else count * (100 - percent) // 100
    within = count > 0 and allowed is not None and over <= allowed
    kept = within and unanswered == 0 and not grew(latencies_ns, serving)
    return Probe(
        rate=ask.rate,
        seconds=ask.seconds,
        requests=count,
        over=over,
        latency_ms=float(found[count - 1 - count * (100 - percent) // 100]) if count else 0.0,
        kept=kept,
    )


def claim_seconds(rate: float, serving: ServingSpec) -> float:
    """How long requests must arrive at a rate for a claim: a minute, or until those that back the percentile are there.

    Of a Poisson process: a mean m with m − SURE·√m requests enough.
    """
    least = stats.calls_for(_percent(serving) / 100)
    return max(CLAIM_S, ((SURE + math.sqrt(SURE**2 + 4 * least)) / 2) ** 2 / rate)


def grew(latencies_ns: Sequence[Sequence[int]], serving: ServingSpec) -> bool:
    """Whether the queue grew while requests arrived: the second half of them took far longer on average.

    Where the rate is too high by a share ε the latency rises by ε of the time, which a long limit hides at first.
    """
    if sum(map(len, latencies_ns)) < FEW:
        return False
    first = np.concatenate([np.asarray(share[: len(share) // 2], np.float64) for share in latencies_ns]).mean()
    second = np.concatenate([np.asarray(share[len(share) // 2 :], np.float64) for share in latencies_ns]).mean()
    return bool(second > GROWTH * first and second > MATTERS * serving.latency_ms * 1e6)


def _percent(serving: ServingSpec) -> int:
    return int(serving.percentile.removeprefix("p"))


# -------------------------------------------------------------------------------------------------------- the search


def rate(probes: Sequence[Probe], rules: MeasureRules) -> float:
    """The answer: the largest rate that a probe of the longest length kept; 0 where none did."""
    return max((probe.rate for probe in probes if probe.kept and _long(probe, rules)), default=0.0)


def following(task: Task, probes: Sequence[Probe], rules: MeasureRules) -> Ask | None:
    """The next probe; None once the answer is known or the time for better ones is over.

    Bisection on log rate between the largest rate that was kept and the least that was not, which is probed again at
    the end: a neighbour's burst fails a probe, and nothing mends one. What was found must then be kept for the longest
    length, or the rate goes down until one is.
    """
    if not probes:
        return _ask(first(task, rules), rules)
    deciding = _deciding(probes, rules)
    failed = {found: group for found, group in deciding.items() if not any(probe.kept for probe in group)}
    high = min(failed, default=None)
    kept = [found for found in deciding if found not in failed and (high is None or found < high)]
    low = max(kept, default=None)
    sure = low is not None and _long(deciding[low][0], rules)
    left_s = rules.serve_s - math.fsum(probe.seconds for probe in probes)
    if high is not None and any(probe.kept for probe in probes if probe.rate in failed):
        return None if rate(probes, rules) else _back(lowest(task, rules), failed, rules)
    if low is None:
        return _down(lowest(task, rules), failed, left_s, rules)
    wanted = _between(low, task.capacity, failed, rules)
    if wanted is not None:
        wanted = Ask(rate=wanted.rate, seconds=rules.probe_most_s) if sure else wanted
        last_s = 0.0 if wanted.seconds >= rules.probe_most_s else RESERVE * rules.probe_most_s
        if wanted.seconds + last_s <= left_s:
            return wanted
    return None if sure else Ask(rate=low, seconds=rules.probe_most_s)


def lowest(task: Task, rules: MeasureRules) -> float:
    """The least rate that is probed: a small part of the closed loop's that still brings some requests."""
    return min(max(rules.serve_least * task.capacity, LEAST_REQUESTS / rules.probe_most_s), task.capacity / 2)


def first(task: Task, rules: MeasureRules) -> float:
    """Where the search begins: about where a queue of this kind keeps the limit.

    Kingman's heavy-traffic approximation (1961): waiting is exponential with mean s·(ca² + cs²)/2·r/(1 − r), r being
    the load. Calls take a constant s (cs² = 0), and one begins for every batch_size·workers Poisson arrivals, so that
    ca² is 1 over that and s·ca² is 1 over the capacity.
    """
    least = lowest(task, rules)
    limit_s = task.serving.latency_ms / 1e3
    slack_s = limit_s - task.call_s * (1 if task.batch_size == 1 else 2)
    if limit_s < task.call_s:
        return least
    if slack_s <= 0:
        return math.sqrt(least * task.capacity)
    ratio = 2 * task.capacity * slack_s / -math.log(1 - _percent(task.serving) / 100)
    return max(least, task.capacity * ratio / (1 + ratio))


def _ask(rate: float, rules: MeasureRules) -> Ask:
    return Ask(rate=rate, seconds=min(max(rules.probe_s, rules.probe_requests / rate), rules.probe_most_s))


def _again(failed: Sequence[Probe]) -> Ask:
    return Ask(rate=failed[0].rate, seconds=failed[0].seconds)


def _down(least: float, failed: Mapping[float, Sequence[Probe]], left_s: float, rules: MeasureRules) -> Ask | None:
    """Below all that failed, ever faster; at last the least rate, and that twice."""
    high = min(failed)
    if high <= least:
        return _again(failed[high]) if len(failed[high]) == 1 else None
    down = high * math.exp(-STEP * 2 ** (len(failed) - 1)) if left_s > 0 else least
    return _ask(max(least, down), rules)


def _back(least: float, failed: Mapping[float, Sequence[Probe]], rules: MeasureRules) -> Ask | None:
    """Below the rates that long probes did not keep: a little at first, so that a burst costs little."""
    high = min(failed)
    if high <= least:
        return None
    tried = sum(_long(group[0], rules) for group in failed.values())
    down = high * math.exp(-BACK * 1.5 ** (tried - 1))
    return Ask(rate=max(least, down), seconds=rules.probe_most_s)


def _between(low: float, capacity: float, failed: Mapping[float, Sequence[Probe]], rules: MeasureRules) -> Ask | None:
    """The middle of both, or the upper one again; None where there is nothing more to learn."""
    high = min(failed, default=capacity)
    if high / low > 1 + rules.serve_width:
        return _ask(math.sqrt(low * high), rules)
    return _again(failed[high]) if high in failed and len(failed[high]) == 1 else None


def _deciding(probes: Sequence[Probe], rules: MeasureRules) -> dict[float, list[Probe]]:
    """For each rate its probes of the longest length, or where there are none all of them.

    It was kept if one of them kept the limit.
    """
    found: dict[float, list[Probe]] = {}
    for probe in probes:
        found.setdefault(probe.rate, []).append(probe)
    return {rate: [probe for probe in group if _long(probe, rules)] or group for rate, group in found.items()}


def _long(probe: Probe, rules: MeasureRules) -> bool:
    return probe.seconds >= rules.probe_most_s
