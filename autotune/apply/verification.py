"""The verification of a claim: what a second measurement says of it, as data and in words."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from autotune.core.best import Claim
from autotune.core.estimate import Estimate
from autotune.core.results import Probe
from autotune.core.struct import FORMAT, Struct
from autotune.report.text import formatting

Verdict = Literal["holds", "fails", "unresolved"]

WIDEST = math.log(1.10)
"""The widest half of an interval (a log ratio) from which a claim is upheld that it does not exceed altogether."""

LEAST_SERVED = 0.97
"""The part of the claimed rate of requests that must still be served."""

HEADS = {"holds": "The claim holds", "fails": "The claim does not hold", "unresolved": "Not resolved"}


class Verification(Struct):
    """The result of `verify`; `reasons` is what speaks against the claim.

    `ratio` is how many times better than the baseline the configuration is now, with its 95 % interval over the
    interleaved runs, `claimed` the same of the file; of requests `served` is the rate now.
    `baseline_known` is false where the file does not say what the speed-up is over, so that the plain model stood in.
    `differences` are this machine's from the tuned one; `throughput` is samples a second; `logs` is a folder that was
    kept since something failed.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    objective: str
    ratio: Estimate | None
    claimed: Claim | None
    baseline_known: bool
    differences: tuple[str, ...]
    throughput: Estimate | None = None
    baseline_throughput: Estimate | None = None
    served: Probe | None = None
    runs: int = msgspec.field(default=0, name="sittings")
    rounds: int = 0
    seconds: float = 0.0
    logs: str | None = None
    format: int = FORMAT

    @property
    def holds(self) -> bool:
        """True if the claim is upheld; one that is not resolved is not."""
        return self.verdict == "holds"


def judge(now: Estimate | None, claimed: Claim | None, delta: float) -> tuple[Verdict, str | None]:
    """The verdict of today's ratio on the claimed one, and the reason against it.

    The bound is the claim's lower end less `delta`. A ratio below it as a whole fails, above it as a whole holds. One
    that reaches over the bound holds if it is narrow enough to say so much, and still above 1 where that was claimed.
    """
    if now is None or now.low is None or now.high is None:
        return "unresolved", "the time was enough for fewer than two interleaved runs; raise --minutes"
    if claimed is None:
        return "unresolved", "the file claims no ratio"
    least = claimed.estimate if claimed.low is None else claimed.low
    bound = least * math.exp(-delta)
    if now.high < bound:
        return "fails", f"it lies below the claimed {least:.2f}x less {100 * (1 - math.exp(-delta)):.0f} %"
    if now.low >= bound:
        return "holds", None
    if math.log(now.high / now.low) / 2 > WIDEST:
        return "unresolved", f"the interval is wider than ±{100 * (math.exp(WIDEST) - 1):.0f} %; raise --minutes"
    if least > 1 >= now.low:
        return "unresolved", "the interval allows no gain at all; raise --minutes"
    return "holds", None


def text(found: Verification) -> list[str]:
    """The verdict in a sentence, and what belongs to it in a line each."""
    lines = [f"{HEADS[found.verdict]}: {_figures(found)}."]
    lines += [f"because   {reason}" for reason in found.reasons]
    if found.throughput is not None and found.baseline_throughput is not None:
        both = f"{formatting.rate(found.throughput)}, the baseline {formatting.rate(found.baseline_throughput)}"
        lines.append(f"rates     {both}, in {found.runs} interleaved runs and {found.rounds} rounds")
    if not found.baseline_known:
        lines.append("baseline  the plain model: the file does not say what its speed-up is over")
    lines += [f"differs   {difference}" for difference in found.differences]
    if found.logs is not None:
        lines.append(f"logs      {found.logs}")
    return lines


def _figures(found: Verification) -> str:
    if found.objective == "served_rate":
        now = "no rate was served" if found.served is None else formatting.sustained(found.served)
        return f"{now}; {100 * LEAST_SERVED:.0f} % of what was claimed was asked for"
    _, over = formatting.gain(found.objective)
    was = "nothing was claimed"
    if found.claimed is not None:
        claimed = Estimate(estimate=found.claimed.estimate, low=found.claimed.low, high=found.claimed.high)
        was = f"{formatting.times(claimed.estimate)}{formatting.between(claimed)} was claimed"
    if found.ratio is None:
        return f"nothing could be compared; {was}"
    ratio = f"{formatting.times(found.ratio.estimate)}{formatting.between(found.ratio)}"
    return f"it is {ratio} {over} the baseline now; {was}"
