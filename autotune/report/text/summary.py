"""The summary of a study: the winner, the confirmed gain, and the gain from each of its settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from autotune.analysis import constraints, memory_growth, metrics
from autotune.analysis.latency import PERCENTILES, Latencies
from autotune.analysis.metric import Measured
from autotune.analysis.number_format import rounded, size
from autotune.core.confirmation import Finalist, Winner
from autotune.core.estimate import Estimate
from autotune.core.finding import Finding
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Space
from autotune.report.text import answers, explanation, formatting, headline
from autotune.report.text.study_reader import Study
from autotune.study import versions
from autotune.study.evidence import Evidence
from autotune.study.ranking import Ranking
from autotune.study.storage import latency_files

WINDOWS = "a trial's own rate is from one window: it ranks trials, and claims nothing"

INDIRECT = "*"

VERDICTS = {
    "faster": "behind the {best}",
    "slower": "not selected",
    "tie": "a tie",
    "undecided": "undecided",
}
"""A finalist's standing, by the leader's verdict over it."""


def summary(study: Study) -> list[str]:
    """The winner, how much better, what that is worth, and the answers; then the confirmation's tables."""
    results, space, ranking, confirmation = study.results, study.space, study.ranking, study.confirmation
    found = study.evidence
    lines = _nothing(study) if found is None else [*headline.lines(study, found), *_about(study, found)]
    blind = [flag for result in results for flag in result.flags if flag.startswith("no_canary")]
    if blind:
        lines.append(f"warning   the rates of {len(blind)} trials are not corrected for drift: {blind[-1]}")
    if older := versions.outdated(results):
        other = f"{len(older)} trials had other versions than later ones ({_versions(older.values())})"
        lines.append(f"warning   {other}: only a confirmation compares them fairly")
    failures = sum(not result.blocks for result in results)
    slow = sum(result.status is Status.REJECTED for result in results)
    beyond = sum(result.status is Status.OK and not result.feasible for result in results)
    limited = f", {beyond} beyond a limit" if beyond else ""
    lines.append(f"trials    {len(results)}: {slow} given up as clearly slower, {failures} failed{limited}")
    if found is not None:
        lines.append(f"{'':9} {WINDOWS}")
    lines += model(study.findings)
    if len(space.goal.objectives) > 1:
        lines += _front(ranking)
    if confirmation is not None and confirmation.finalists:
        lines += [*_finalists(confirmation.finalists, space), *explanation.lines(study)]
    return lines


def model(findings: Iterable[Finding]) -> list[str]:
    """What the check of the model found, a line each."""
    return [f"model     {one.line}" for one in findings]


def _versions(older: Iterable[Mapping[str, str]]) -> str:
    return ", ".join(dict.fromkeys(f"{name} {version}" for one in older for name, version in one.items()))


def _about(study: Study, found: Evidence) -> list[str]:
    """The warnings on the figures; then the winner's latency, cost and answers."""
    source, goal, folder = found.source, study.space.goal, study.folder
    lines = headline.disturbed(study, found)
    if isinstance(source, TrialResult):
        calls, memory = latency_files.of_trial(folder, source), source.peak_rss_bytes
        known = metrics.values(Measured(source, found.rate.estimate, goal.price, source.latency))
    else:
        served = [] if source.sustained is None else [f"served    {formatting.sustained(source.sustained)}"]
        lines = [*served, *_noise(study), *lines]
        calls, memory = latency_files.read([folder / one for one in source.folders]), source.peak_rss_bytes
        known = source.metrics | {"cpu_s_per_sample": source.cpu_s_per_sample}
    lines += [*_latency(calls), _cost(known["cpu_s_per_sample"], memory)]
    if (growth := known.get(metrics.GROWTH)) is not None:
        lines.append(f"warning   memory grew by {memory_growth.words(growth)} a call until the end")
    lines += answers.lines(source.fidelity, source.accuracy, constraints.check(goal.limits, known), known, goal)
    return [*lines, *(f"note      {flag}" for flag in source.flags if isinstance(source, Winner))]


def _noise(study: Study) -> list[str]:
    if study.confirmation is None or study.confirmation.noise_floor is None:
        return []
    floor = 100 * math.expm1(study.confirmation.noise_floor)
    return [f"noise     {floor:.1f} %: by so much one configuration may seem to differ from itself here"]


def _nothing(study: Study) -> list[str]:
    """Nothing measured; or nothing that keeps the limits, with what comes nearest and which limit is in the way."""
    ranking, nearest = study.ranking, study.ranking.nearest
    if nearest is None:
        return ["No configuration has been measured."]
    count = sum(result.status is Status.OK for result in ranking.results)
    broken = [one for one in ranking.checks(nearest) if not one.satisfied]
    finalists = () if study.confirmation is None else study.confirmation.finalists
    confirmed = [one for one in finalists if one.config == nearest.spec.config and one.broken is not None]
    if nearest.served is not None and nearest.served.rate == 0:
        probes = [probe for result in ranking.results if result.served for probe in result.served.probes]
        least = min(probes, key=lambda probe: probe.latency_ms, default=None)
        seen = "" if least is None else f": the least seen is {rounded(least.latency_ms)} ms"
        return [f"none      no configuration of {count} serves requests within the latency of workload.serving{seen}"]
    return [
        f"none      no configuration of {count} keeps the limits",
        f"nearest   {formatting.configuration(nearest.spec.config)} (trial {nearest.spec.id})",
        *(f"limit     {formatting.violated(one)}" for one in broken),
        *(f"limit     {one.broken}: BROKEN while it was confirmed" for one in confirmed),
    ]


def _front(ranking: Ranking) -> list[str]:
    """The trials of which none is better in every objective, by the first one; the knee is what is exported."""
    front = ranking.order()
    values = {result.spec.id: ranking.values(result) or () for result in front}
    lines = ["", "the front: none is better than another in every objective (export --pick TRIAL takes another)"]
    for result in sorted(front, key=lambda one: values[one.spec.id]):
        known = zip(ranking.goal.objectives, values[result.spec.id], strict=True)
        shown = "  ".join(f"{formatting.metric(name, value, ranking.goal.price):>12}" for name, value in known)
        knee = " (the knee)" if result is front[0] else ""
        lines.append(f"  {result.spec.id:>5}  {shown}  {formatting.configuration(result.spec.config)}{knee}")
    return lines


def _cost(cpu_s: float, memory_bytes: int | None) -> str:
    memory = "" if memory_bytes is None else f", {size(memory_bytes)} of memory at most"
    return f"cost      {cpu_s:.3g} CPU seconds a sample{memory}"


def _latency(calls: Latencies | None) -> list[str]:
    """The percentiles that are backed, with the number of calls behind them."""
    if calls is None:
        return []
    percentiles = [formatting.latency((name, ms)) for name in PERCENTILES if (ms := calls.backed_ms(name)) is not None]
    return [f"latency   {', '.join(percentiles)} over {calls.calls} calls"] if percentiles else []


def _finalists(finalists: Sequence[Finalist], space: Space) -> list[str]:
    objectives = space.goal.objectives
    by = f", by {objectives[0]}" if len(objectives) > 1 else ""
    indirect = f" ({INDIRECT} by way of another one)" if any(one.indirect for one in finalists) else ""
    lines = ["", f"finalists, against the baseline{by}{indirect}"]
    best = "fastest" if metrics.rate_decides(space.goal) else "best"
    leader = next((one.ratio for one in finalists if one.leads), None)
    for one in (one for one in finalists if one.config != space.baseline or one.served is not None):
        standing = _standing(one, best)
        remark = f": {standing}" if standing else ""
        mark = f" {INDIRECT}" if one.indirect else ""
        ratio = "not measured" if one.ratio is None else f"{formatting.ratio(one.ratio)}{mark}"
        if _contradicts(one, leader):
            ratio = ""
        lines.append(f"  {ratio:24} {formatting.configuration(one.config)}{remark}")
    return lines


def _contradicts(one: Finalist, leader: Estimate | None) -> bool:
    """True if a gain over the baseline exceeds that of the leader, which is faster by the runs that had both."""
    if leader is None or one.ratio is None or one.behind is None:
        return False
    return one.ratio.estimate > leader.estimate and one.behind.estimate > 1


def _standing(one: Finalist, best: str) -> str:
    if one.error is not None:
        return f"failed: {one.error}"
    if one.broken is not None:
        return f"out: {one.broken}"
    if one.served is not None:
        return one.served
    if one.leads:
        return f"the {best}"
    if one.verdict is None:  # there was no time to measure it
        return ""
    verdict = VERDICTS[one.verdict].format(best=best)
    if one.behind is None:
        return verdict
    lead = (
        f"{formatting.ratio(one.behind)} as fast" if best == "fastest" else f"ahead by {formatting.ratio(one.behind)}"
    )
    return f"{verdict}; the {best} is {lead}"
