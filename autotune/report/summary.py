"""What a person wants at the end: the winner, what is claimed for it, and what each of its settings is worth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from autotune.claims import Confirmation, Finalist, Step, Winner, Worth
from autotune.report import latency, words
from autotune.report.latency import PERCENTILES, Latencies
from autotune.results import Fidelity, Status, TrialResult
from autotune.study.ranking import Ranking
from autotune.types import Config

DISTURBED = 0.1
"""From this share of disturbed blocks on the summary says so."""

VERDICTS = {
    None: "the fastest",
    "faster": "slower than the fastest",
    "slower": "not selected",
    "tie": "a tie",
    "undecided": "undecided",
}
"""What the leader's verdict over a finalist says of the finalist."""


def summary(
    folder: Path, results: Sequence[TrialResult], baseline: Config, confirmation: Confirmation | None
) -> list[str]:
    """The winner, how much faster, what that figure is worth, and the answers; then the confirmation's tables."""
    if confirmation is not None and confirmation.winner is not None:
        lines = _confirmed(folder, confirmation, confirmation.winner)
    else:
        lines = _unconfirmed(folder, results, baseline, confirmation)
    blind = [flag for result in results for flag in result.flags if flag.startswith("no_canary")]
    if blind:
        lines.append(f"warning   the rates of {len(blind)} trials are not corrected for drift: {blind[-1]}")
    failures = sum(not result.blocks for result in results)
    slow = sum(result.status is Status.REJECTED for result in results)
    lines.append(f"trials    {len(results)}: {slow} given up as clearly slower, {failures} failed")
    if confirmation is not None and confirmation.confirmed:
        finalists = _finalists(confirmation.finalists, baseline)
        lines += [*finalists, *_worths(confirmation.worths), *_path(confirmation.path)]
    return lines


def _confirmed(folder: Path, confirmation: Confirmation, winner: Winner) -> list[str]:
    counts = f"{winner.sittings} sittings, {winner.rounds} rounds"
    if not confirmation.gain:
        best = max(
            (f for f in confirmation.finalists if f.ratio is not None and f.config != winner.config),
            key=lambda f: f.ratio.estimate if f.ratio else 0.0,
            default=None,
        )
        shown = "" if best is None or best.ratio is None else f": the best of the others is {_ratio(best)} the baseline"
        head = [f"no gain   nothing is shown to be faster than the plain model{shown}"]
    else:
        head = [f"best      {words.configuration(winner.config)}"]
    lines = [*head, f"rate      {words.rate(winner.throughput)}"]
    if confirmation.gain:
        gain = f"{words.times(winner.ratio.estimate)}{words.between(winner.ratio)}"
        lines.append(f"speed-up  {gain} over the plain model, confirmed in {counts}")
    if confirmation.noise_floor is not None:
        floor = 100 * math.expm1(confirmation.noise_floor)
        lines.append(f"noise     {floor:.1f} %: by so much one configuration may seem to differ from itself here")
    if confirmation.disturbed > DISTURBED:
        share = f"{100 * confirmation.disturbed:.0f} %"
        lines.append(f"warning   the machine was disturbed during {share} of the blocks; a quiet one would tell more")
    calls = latency.read([folder / one for one in winner.folders])
    cost = _cost(winner.cpu_s_per_sample, winner.peak_rss_bytes)
    noted = [f"note      {flag}" for flag in winner.flags]
    return [*lines, *_latency(calls), cost, fidelity(winner.fidelity), *noted]


def _unconfirmed(
    folder: Path, results: Sequence[TrialResult], baseline: Config, confirmation: Confirmation | None
) -> list[str]:
    ranking = Ranking(results)
    winner, base = ranking.best, ranking.baseline(baseline)
    if winner is None:
        return ["No configuration has been measured."]
    others = [result for result in results if result.blocks and result is not base]
    if base is winner and others and all(ranking.rate(one) <= ranking.rate(winner) for one in others):
        return [f"no gain   nothing was faster than the plain model's {words.rate(ranking.interval(winner))}"]
    lines = [
        f"best      {words.configuration(winner.spec.config)}",
        f"rate      {words.rate(ranking.interval(winner))}",
    ]
    if base is not None:
        gain = ranking.ratio(winner, base)
        base_rate = words.rate(ranking.interval(base))
        lines.append(f"speed-up  {words.times(gain.estimate)}{words.between(gain)} over the plain model's {base_rate}")
    why = "" if confirmation is None else f": {confirmation.reason}"
    lines.append(f"          from the search's own windows, not confirmed by a second measurement{why}")
    items = sum(block.items for block in winner.blocks)
    cost = _cost(sum(block.cpu_ns for block in winner.blocks) / 1e9 / items, winner.peak_rss_bytes)
    return [*lines, *_latency(latency.of_trial(folder, winner)), cost, fidelity(winner.fidelity)]


def _cost(cpu_s: float, memory_bytes: int | None) -> str:
    memory = "" if memory_bytes is None else f", {words.size(memory_bytes)} of memory at most"
    return f"cost      {cpu_s:.3g} CPU seconds a sample{memory}"


def fidelity(found: Fidelity | None) -> str:
    """One line on the answers of a configuration."""
    if found is None:
        return "answers   not compared"
    error = "" if found.centred_error is None else f", error {found.centred_error:.2g} of the variation between inputs"
    if not found.judged:
        return "answers   unjudged: with random weights outputs hardly depend on the input"
    return f"answers   cosine similarity {found.cosine_similarity:.5f} to the float32 model{error}"


def _latency(calls: Latencies | None) -> list[str]:
    """The percentiles that are backed, with the number of calls behind them."""
    if calls is None:
        return []
    figures = [words.latency((name, ms)) for name in PERCENTILES if (ms := calls.percentile_ms(name)) is not None]
    return [f"latency   {', '.join(figures)} over {calls.calls} calls"] if figures else []


def _finalists(finalists: Sequence[Finalist], baseline: Config) -> list[str]:
    lines = ["", "finalists, against the baseline"]
    for one in (one for one in finalists if one.config != baseline):
        lines.append(f"  {_ratio(one):24} {words.configuration(one.config)}: {_standing(one)}")
    return lines


def _standing(one: Finalist) -> str:
    if one.error is not None:
        return f"failed: {one.error}"
    if one.behind is None:
        return VERDICTS[one.verdict]
    lead = f"{words.times(one.behind.estimate)}{words.between(one.behind)}"
    return f"{VERDICTS[one.verdict]}; the fastest is {lead} as fast"


def _ratio(one: Finalist) -> str:
    return "not measured" if one.ratio is None else f"{words.times(one.ratio.estimate)}{words.between(one.ratio)}"


def _worths(worths: Sequence[Worth]) -> list[str]:
    if not worths:
        return []
    lines = ["", "what each setting is worth: the winner with it over the winner without it"]
    for one in worths:
        figure = "" if one.ratio is None else f"{words.times(one.ratio.estimate)}{words.between(one.ratio)}"
        lines.append(f"  {figure:24} {words.change(one.setting, one.value, one.instead)}{_remark(one)}")
    return lines


def _remark(one: Worth) -> str:
    if one.error is not None:
        return f", which could not be measured: {one.error}"
    if one.removed:
        return ": worth nothing that matters, removed"
    return "" if one.resolved else ": not resolved, kept"


def _path(path: Sequence[Step]) -> list[str]:
    if not any(step.total for step in path):
        return []
    lines = ["", "the way from the plain model to the winner"]
    for step in path:
        total = "" if step.total is None else f"{words.times(step.total.estimate)}{words.between(step.total)}"
        settings = ", ".join(f"{name} {words.literal(value)}" for name, value in step.settings.items())
        lines.append(f"  {total:24} + {settings}")
    return lines
