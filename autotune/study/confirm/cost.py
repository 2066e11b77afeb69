"""The cost of a confirmation in seconds, predicted from what the trials showed: starts, blocks, memory."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable

import msgspec

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget, Space
from autotune.study.confirm import finalists
from autotune.study.confirm.names import BASELINE
from autotune.study.ranking import Ranking


def reserved(budget: Budget, predicted_s: float | None, confirm: ConfirmRules) -> float:
    """The seconds of the budget that the search leaves to a confirmation of so many; 0 without minutes.

    A fixed share at most, as where nothing is predicted: a search that found nothing needs no confirmation.
    """
    if budget.minutes is None:
        return 0.0
    most_s = budget.minutes * 60 * confirm.share
    return most_s if predicted_s is None else min(predicted_s, most_s)


def predicted(
    ranking: Ranking, space: Space, hw: Hardware, rules: MeasureRules, confirm: ConfirmRules, *, claimed: bool = False
) -> float | None:
    """The seconds of a confirmation: the runs of a claim for the best, the fewest of all finalists, one of the winner.

    Where there is one that was `claimed` already, the latter two are left.
    None before there is another trial than the baseline, and where the rates of requests decide how long it takes.
    """
    if ranking.baseline(space.baseline) is None or space.goal.objectives == ("served_rate",):
        return None
    seconds = 0.0
    parts = [(confirm.runs, confirm.finalists), (1, 1)]
    if not claimed:
        parts.append((confirm.sure_runs, 1))
    for runs, count in parts:
        chosen = finalists.choose(ranking, space, msgspec.structs.replace(confirm, finalists=count), hw)
        if chosen.trials.keys() == {BASELINE}:
            return None
        configs = list(chosen.configs.values())
        together = fit_together(configs, ranking, hw, rules)
        seconds += runs * run_seconds(configs, ranking, hw, confirm.least_rounds, together)
    return seconds / confirm.finalists_share


def run_seconds(configs: Iterable[Config], ranking: Ranking, hw: Hardware, rounds: int, together: bool) -> float:
    """The seconds of an interleaved run: the starts side by side or one by one, a block each to warm up, the rounds."""
    trials = {result.spec.config.key: result for result in ranking.distinct}
    measured = [trials[config.key] for config in configs]
    starts = [result.setup_s or 0.0 for result in measured]
    start_s = max(*starts, sum(starts) / len(hw.cores)) if together else sum(starts)
    return start_s + (1 + rounds) * sum(map(block_seconds, measured))


def block_seconds(result: TrialResult) -> float:
    """The seconds from one block of a trial to the next that counts, with the looks at the machine between them."""
    taken = sorted([*result.warmup, *result.repeated, *result.blocks], key=lambda block: block.start_ns)
    steps = [later.start_ns - one.start_ns for one, later in itertools.pairwise(taken)]
    longest_ns = max(block.elapsed_ns for block in taken)
    counted = len(taken) - len(result.repeated)
    return max(longest_ns, statistics.median(steps or [0])) / 1e9 * len(taken) / counted


def fit_together(configs: Iterable[Config], ranking: Ranking, hw: Hardware, rules: MeasureRules) -> bool:
    """True if these may be started together; false where the time to set up is wanted.

    They must fit into memory at once, as far as trials tell; an unknown one counts as the largest.
    """
    if "setup_s" in ranking.goal.objectives:
        return False
    known = {one.spec.config.key: one.peak_rss_bytes for one in ranking.results if one.peak_rss_bytes is not None}
    largest = max(known.values(), default=0)
    needed = sum(known.get(config.key, largest) for config in configs)
    return needed <= rules.memory_fraction * hw.usable_memory_bytes
