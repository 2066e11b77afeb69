"""The headline of a study: the winner with its figure, in words that say which evidence stands behind it."""

from __future__ import annotations

from autotune.core.confirmation import Confirmation
from autotune.core.results import Status, TrialResult
from autotune.models import calibration
from autotune.report.text import answers, formatting
from autotune.report.text.study_reader import Study
from autotune.study.evidence import Evidence

DISTURBED = 0.1
"""From this share of disturbed blocks on the headline says so."""


def basis(found: Evidence) -> str:
    """The measurements behind the figures: `confirmed in 4 interleaved runs, 9 rounds`."""
    if isinstance(found.source, TrialResult):
        return "from the search alone: not confirmed"
    runs = formatting.number(found.source.runs, "interleaved run")
    if found.level == "interleaved":
        return f"from {runs}: not confirmed"
    rounds = formatting.number(found.source.rounds, "round")
    way = ", by way of another configuration" if found.source.indirect else ""
    return f"confirmed in {runs}, {rounds}{way}" if found.source.runs else "confirmed"


def lines(study: Study, found: Evidence) -> list[str]:
    """The winner, its rate and its gain; that there is no gain where none is seen."""
    on = calibration.doubt(study.space.workload, None) if calibration.calibrated(found.config) else None
    best = f"best      {formatting.configuration(found.config)}{answers.doubt(found.source.fidelity, on)}"
    rate = f"rate      {formatting.rate(found.rate)}"
    reason = None if study.confirmation is None or found.level == "confirmed" else study.confirmation.reason
    why = [] if reason is None else [f"{'':9} {reason}"]
    without = _no_gain(study, found)
    if without is None:
        return [best, rate, *_gain(study, found), *why]
    alone = found.config == study.space.baseline
    return [*([] if alone else [best]), f"no gain   {without}", rate, *_windows(study, found), *why]


def disturbed(study: Study, found: Evidence) -> list[str]:
    """The share of blocks during which the machine was disturbed, where it is large; and whether the baseline's."""
    if found.disturbed <= DISTURBED:
        return []
    share, base = f"{100 * found.disturbed:.0f} %", study.baseline
    plain = 0.0 if base is None else study.ranking.disturbed(base)
    if isinstance(found.source, TrialResult) and found.source is not base and plain == found.disturbed:
        return [f"warning   the machine was disturbed during {share} of the baseline's blocks: the gain may be smaller"]
    return [f"warning   the machine was disturbed during {share} of the blocks; a quiet one would tell more"]


# ----------------------------------------------------------------------------------------------------------- no gain


def _no_gain(study: Study, found: Evidence) -> str | None:
    """The words for a study that shows no gain; None where there is one to tell of."""
    confirmation, objectives = study.confirmation, study.space.goal.objectives
    plain = found.config == study.space.baseline
    if isinstance(found.source, TrialResult):
        rivals = [*study.ranking.order(), *(one for one in study.results if one.status is Status.REJECTED)]
        others = any(one is not study.baseline for one in rivals)
        ahead = formatting.ahead(objectives, "be", "have")
        return f"nothing is expected to {ahead} than the baseline, {basis(found)}" if plain and others else None
    assert confirmation is not None
    ahead = f"nothing is shown to {formatting.ahead(objectives, 'be', 'have')} than the baseline"
    if found.level == "interleaved":
        return f"{ahead}, {basis(found)}{_best_of_the_others(confirmation, found)}" if plain else None
    if confirmation.gain:
        return None
    if plain:
        return f"{ahead}{_best_of_the_others(confirmation, found)}"
    if found.ratio is None:
        return "none is claimed: the baseline was not confirmed"
    return f"{ahead}, which breaks a limit that this keeps"


def _best_of_the_others(confirmation: Confirmation, found: Evidence) -> str:
    """The ratio of the finalist that comes nearest to a gain; empty where none has a ratio."""
    ratios = [one.ratio for one in confirmation.finalists if one.ratio is not None and one.config != found.config]
    best = max(ratios, key=lambda ratio: ratio.estimate, default=None)
    return "" if best is None else f": the best of the others is {formatting.ratio(best)} the baseline"


# -------------------------------------------------------------------------------------------------------------- gain


def _gain(study: Study, found: Evidence) -> list[str]:
    """The winner's gain by the first objective; a line an objective where it is a front's knee."""
    objectives = study.space.goal.objectives
    if len(objectives) > 1:
        each = _windows(study, found) if found.level == "search" else _ratios(study, found)
        return [f"knee      of the front, against the baseline in each objective, {basis(found)}", *each]
    name, over = formatting.gain(objectives[0])
    label = {"confirmed": name, "interleaved": "so far", "search": "expected"}[found.level]
    if found.ratio is not None:
        gain = f"{label:9} {formatting.ratio(found.ratio)} {over} the baseline, {basis(found)}"
        return [gain, *_windows(study, found)]
    if found.level == "confirmed":
        return [f"{label:9} the baseline serves no request within the limit"]
    return [f"{'':9} {basis(found)}; the baseline was not measured", *_windows(study, found)]


def _ratios(study: Study, found: Evidence) -> list[str]:
    """The confirmed ratio by each of several objectives."""
    finalists = () if study.confirmation is None else study.confirmation.finalists
    ratios = next((one.ratios for one in finalists if one.config == found.config), {})
    return [
        f"{'':9} {formatting.ratio(ratio)} {formatting.more(name)} than the baseline" for name, ratio in ratios.items()
    ]


def _windows(study: Study, found: Evidence) -> list[str]:
    """The objectives beside the rate, of a winner that only the search measured and of the baseline."""
    goal, base, winner = study.space.goal, study.baseline, found.source
    if not isinstance(winner, TrialResult) or goal.objectives == ("throughput",):
        return []
    values, plain = study.ranking.values(winner), None if base is None else study.ranking.values(base)
    lines = []
    for place, name in enumerate(goal.objectives if values is not None else ()):
        own, others = (
            "" if known is None else formatting.metric(name, known[place], goal.price) for known in (values, plain)
        )
        told = f"{own}, the baseline's {others}" if others and winner is not base else own
        lines.append(f"{'':9} {name} {told}, in one window each")
    return lines
