"""The summary of a study: the winner, the confirmed gain, and the gain from each of its settings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autotune.analysis import constraints, metrics
from autotune.analysis.latency import PERCENTILES, Latencies
from autotune.analysis.number_format import rounded, size
from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step, Winner
from autotune.core.machine import Hardware
from autotune.core.results import Estimate, Status, TrialResult
from autotune.core.space_types import Space
from autotune.report.text import answers, formatting
from autotune.study import versions
from autotune.study.ranking import Ranking
from autotune.study.storage import latency_files

DISTURBED = 0.1
"""From this share of disturbed blocks on the summary says so."""

VERDICTS = {
    "faster": "behind the {best}",
    "slower": "not selected",
    "tie": "a tie",
    "undecided": "undecided",
}
"""A finalist's standing, by the leader's verdict over it."""


def summary(
    folder: Path,
    results: Sequence[TrialResult],
    space: Space,
    confirmation: Confirmation | None,
    hw: Hardware | None = None,
) -> list[str]:
    """The winner, how much better, what that claim is worth, and the answers; then the confirmation's tables.

    With `hw` a winner that is not confirmed is one whose interpreter that machine has, as in `best.json`.
    """
    ranking = Ranking(results, space.goal)
    if confirmation is not None and confirmation.winner is not None:
        lines = _confirmed(folder, confirmation, confirmation.winner, space)
    else:
        best = ranking.best if hw is None else ranking.startable(hw)
        lines = _unconfirmed(folder, ranking, best, space.baseline, confirmation)
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
    if len(space.goal.objectives) > 1:
        lines += _front(ranking)
    if confirmation is not None and confirmation.finalists:
        finalists = _finalists(confirmation.finalists, space)
        lines += [*finalists, *_ablations(confirmation.ablations), *_path(confirmation.path)]
    return lines


def _versions(older: Iterable[Mapping[str, str]]) -> str:
    return ", ".join(dict.fromkeys(f"{name} {version}" for one in older for name, version in one.items()))


def _confirmed(folder: Path, confirmation: Confirmation, winner: Winner, space: Space) -> list[str]:
    """The winner, its gain, what may disturb these measurements; then latency, cost and answers."""
    lines = [*_headline(confirmation, winner, space), f"rate      {formatting.rate(winner.throughput)}"]
    if confirmation.gain:
        lines += _gain(confirmation, winner, space)
    if winner.sustained is not None:
        lines.append(f"served    {formatting.sustained(winner.sustained)}")
    lines += [*_noise(confirmation), *_latency(latency_files.read([folder / one for one in winner.folders]))]
    lines.append(_cost(winner.cpu_s_per_sample, winner.peak_rss_bytes))
    checks = constraints.check(space.goal.limits, winner.metrics)
    lines += answers.lines(winner.fidelity, winner.accuracy, checks, winner.metrics, space.goal)
    return [*lines, *(f"note      {flag}" for flag in winner.flags)]


def _headline(confirmation: Confirmation, winner: Winner, space: Space) -> list[str]:
    """The winner's configuration; that there is no gain where none was confirmed."""
    best = f"best      {formatting.configuration(winner.config)}{answers.doubt(winner.fidelity)}"
    if confirmation.gain:
        return [best]
    ahead = formatting.ahead(space.goal.objectives, "be", "have")
    no_gain = f"no gain   nothing is shown to {ahead} than the baseline"
    if winner.config == space.baseline:
        return [f"{no_gain}{_best_of_the_others(confirmation, winner)}"]
    if winner.ratio is None:
        return [best, "no gain   none is claimed: the baseline was not confirmed"]
    return [best, f"{no_gain}, which breaks a limit that this keeps"]


def _best_of_the_others(confirmation: Confirmation, winner: Winner) -> str:
    """The ratio of the finalist that comes nearest to a gain; empty where none has a ratio."""
    ratios = [one.ratio for one in confirmation.finalists if one.ratio is not None and one.config != winner.config]
    best = max(ratios, key=lambda ratio: ratio.estimate, default=None)
    return "" if best is None else f": the best of the others is {_times(best)} the baseline"


def _noise(confirmation: Confirmation) -> list[str]:
    lines = []
    if confirmation.noise_floor is not None:
        floor = 100 * math.expm1(confirmation.noise_floor)
        lines.append(f"noise     {floor:.1f} %: by so much one configuration may seem to differ from itself here")
    if confirmation.disturbed > DISTURBED:
        share = f"{100 * confirmation.disturbed:.0f} %"
        lines.append(f"warning   the machine was disturbed during {share} of the blocks; a quiet one would tell more")
    return lines


def _gain(confirmation: Confirmation, winner: Winner, space: Space) -> list[str]:
    """The winner's gain: a line, or one an objective where it is the front's knee."""
    objectives = space.goal.objectives
    how = f", confirmed in {winner.runs} interleaved runs, {winner.rounds} rounds" if winner.runs else ""
    if len(objectives) > 1:
        ratios = next((one.ratios for one in confirmation.finalists if one.config == winner.config), {})
        each = [f"{'':9} {_times(ratio)} {formatting.more(name)} than the baseline" for name, ratio in ratios.items()]
        return [f"knee      of the front, against the baseline in each objective{how}", *each]
    what = formatting.gain(objectives[0])
    if winner.ratio is None:
        return [f"{what[0]:9} the baseline serves no request within the limit"]
    return [f"{what[0]:9} {_times(winner.ratio)} {what[1]} the baseline{how}"]


def _unconfirmed(
    folder: Path, ranking: Ranking, winner: TrialResult | None, baseline: Config, confirmation: Confirmation | None
) -> list[str]:
    base = ranking.baseline(baseline)
    if winner is None:
        return _nothing(ranking)
    others = [result for result in ranking.order() if result is not base]
    slower = [result for result in ranking.results if result.status is Status.REJECTED]
    why = "" if confirmation is None else f": {confirmation.reason}"
    doubt = f"          from the search's own windows, not confirmed by a second measurement{why}"
    if base is winner and (others or slower):
        ahead = formatting.ahead(ranking.goal.objectives, "was", "had")
        return [f"no gain   nothing {ahead} than the baseline{_plain(ranking, winner)}", doubt]
    lines = [
        f"best      {formatting.configuration(winner.spec.config)}{answers.doubt(winner.fidelity)}",
        f"rate      {formatting.rate(ranking.interval(winner))}",
    ]
    if base is not None:
        gain = ranking.ratio(winner, base)
        base_rate = formatting.rate(ranking.interval(base))
        lines.append(
            f"seems     {formatting.times(gain.estimate)}{formatting.between(gain)} over the baseline's {base_rate}"
        )
        lines += _objectives(ranking, winner, base)
    lines.append(doubt)
    items = sum(block.items for block in winner.blocks)
    cost = _cost(sum(block.cpu_ns for block in winner.blocks) / 1e9 / items, winner.peak_rss_bytes)
    known, judged = ranking.known(winner), ranking.checks(winner)
    told = answers.lines(winner.fidelity, winner.accuracy, judged, known, ranking.goal)
    return [*lines, *_latency(latency_files.of_trial(folder, winner)), cost, *told]


def _plain(ranking: Ranking, base: TrialResult) -> str:
    """The baseline's own value, where there is one objective: `'s 10.0/s ±1.0 %`."""
    if metrics.rate_decides(ranking.goal):
        return f"'s {formatting.rate(ranking.interval(base))}"
    values, goal = ranking.values(base), ranking.goal
    alone = values is not None and len(values) == 1
    return f"'s {formatting.metric(goal.objectives[0], values[0], goal.price)}" if values and alone else ""


def _nothing(ranking: Ranking) -> list[str]:
    """Nothing measured; or nothing that keeps the limits, with what comes nearest and which limit is in the way."""
    nearest = ranking.nearest
    if nearest is None:
        return ["No configuration has been measured."]
    count = sum(result.status is Status.OK for result in ranking.results)
    broken = [one for one in ranking.checks(nearest) if not one.satisfied]
    if nearest.served is not None and nearest.served.rate == 0:
        probes = [probe for result in ranking.results if result.served for probe in result.served.probes]
        least = min(probes, key=lambda probe: probe.latency_ms, default=None)
        seen = "" if least is None else f": the least seen is {rounded(least.latency_ms)} ms"
        return [f"none      no configuration of {count} serves requests within the latency of workload.serving{seen}"]
    return [
        f"none      no configuration of {count} keeps the limits",
        f"nearest   {formatting.configuration(nearest.spec.config)} (trial {nearest.spec.id})",
        *(f"limit     {formatting.violated(one)}" for one in broken),
    ]


def _objectives(ranking: Ranking, winner: TrialResult, base: TrialResult) -> list[str]:
    """The objectives beside the rate, of the winner and of the baseline."""
    goal, found, plain = ranking.goal, ranking.values(winner), ranking.values(base)
    if found is None or plain is None:
        return []
    lines = []
    for name, one, other in zip(goal.objectives, found, plain, strict=True):
        shown = [formatting.metric(name, value, goal.price) for value in (one, other)]
        lines.append(f"{'':9} {name} {shown[0]}, the baseline's {shown[1]}")
    return lines if goal.objectives != ("throughput",) else []


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
    lines = ["", f"finalists, against the baseline{by}"]
    best = "fastest" if metrics.rate_decides(space.goal) else "best"
    for one in (one for one in finalists if one.config != space.baseline or one.served is not None):
        standing = _standing(one, best)
        remark = f": {standing}" if standing else ""
        ratio = "not measured" if one.ratio is None else _times(one.ratio)
        lines.append(f"  {ratio:24} {formatting.configuration(one.config)}{remark}")
    return lines


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
    lead = f"{_times(one.behind)} as fast" if best == "fastest" else f"ahead by {_times(one.behind)}"
    return f"{verdict}; the {best} is {lead}"


def _times(ratio: Estimate) -> str:
    return f"{formatting.times(ratio.estimate)}{formatting.between(ratio)}"


def _ablations(ablations: Sequence[Ablation]) -> list[str]:
    if not ablations:
        return []
    lines = ["", "what each setting is worth: the winner with it over the winner without it"]
    for one in ablations:
        figure = "" if one.ratio is None else _times(one.ratio)
        lines.append(f"  {figure:24} {formatting.change(one.setting, one.value, one.instead)}{_remark(one)}")
    return lines


def _remark(one: Ablation) -> str:
    if one.error is not None:
        return f", which could not be measured: {one.error}"
    if one.removed:
        return ": worth nothing that matters, removed"
    if one.resolved:
        return ""
    if one.ratio is None:
        return ": not measured, the time was used up; kept"
    if one.ratio.low is None:
        return ": from one interleaved run, which gives no interval; kept"
    return ": not resolved, kept"


def _path(path: Sequence[Step]) -> list[str]:
    if not any(step.total for step in path):
        return []
    lines = ["", "the way from the baseline to the winner"]
    for step in path:
        total = "" if step.total is None else _times(step.total)
        settings = ", ".join(f"{name} {formatting.literal(value)}" for name, value in step.settings.items())
        lines.append(f"  {total:24} + {settings}")
    return lines
