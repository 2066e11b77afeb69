"""The rules of measuring and of claiming: when to stop, to reject, to repeat and to claim."""

from __future__ import annotations

import math

import msgspec

from autotune.core.space_types import Limit, TimeLimits
from autotune.core.struct import Struct


class Correction(Struct):
    """The dependence of rates on the canary: log rate − Σ slope · (log part − centre).

    `centres` are by the number of cores that the canary ran on, then by part; no slopes correct nothing.
    """

    slopes: dict[str, float] = {}
    centres: dict[int, dict[str, float]] = {}


class MeasureRules(Struct):
    """The limits of measuring a trial and of giving it up; seconds, ratios, and a count of samples.

    A trial that `trial_timeout_s` (the end of the budget) cuts short is `interrupted`, which says nothing of its
    configuration. `build_timeout_s` is for the user's own code, which may wait for a network; preparing and loading
    have their times besides. A block is disturbed where the machine was not ours alone: others used the trial's cores,
    our control group waited for CPU or memory, steal, a CPU quota that others used up, a fall of the clock frequency, a
    canary off its usual place. Outputs of `verify_samples` are compared, up to `verify_most` where the plain model
    answers them within `verify_reference_s` and their arrays take no more than `verify_bytes`; fewer where calls after
    the first take over `verify_s`. One whose answers break a limit of `answers` is not measured.

    Where requests are served, a probe lasts `probe_s` or as long as `probe_requests` take to arrive, at most
    `probe_most_s`; all probes of a trial about `serve_s`, between rates that differ by `serve_width` at most. The least
    rate probed is `serve_least` of the closed loop's.
    """

    block_s: float = 0.5
    warmup_s: float = 10.0
    warmup_rise: float = 0.05
    min_blocks: int = 3
    confidence: float = 0.90
    half_width: float = 0.10
    measure_s: float = 3.0
    reject_first_block: float = 1 / 3
    reject_blocks: float = 1 / 2
    canary_s: float = 0.12
    correction: Correction = Correction()
    disturbed_others: float = 0.05
    disturbed_pressure: float = 0.1
    disturbed_steal: float = 0.02
    disturbed_throttled: float = 0.02
    disturbed_frequency: float = 0.9
    disturbed_canary: float = 3.0
    disturbed_repeats: int = 2
    build_timeout_s: float = 1800.0
    prepare_timeout_s: float = 600.0
    setup_timeout_s: float = 240.0
    idle_timeout_s: float = 30.0
    block_timeout_s: float = 60.0
    trial_timeout_s: float | None = None
    memory_fraction: float = 0.9
    verify_samples: int = 8
    verify_most: int = 128
    verify_reference_s: float = 4.0
    verify_bytes: int = 32 * 2**20
    verify_s: float = 0.8
    answers: tuple[Limit, ...] = ()
    probe_s: float = 2.0
    probe_most_s: float = 6.0
    probe_requests: int = 100
    serve_s: float = 25.0
    serve_width: float = 0.05
    serve_least: float = 1 / 20


def within(rules: MeasureRules, limits: TimeLimits) -> MeasureRules:
    """The rules with the time limits that a space file sets."""
    given = {name: value for name, value in msgspec.structs.asdict(limits).items() if value is not None}
    return msgspec.structs.replace(rules, **{f"{name.removesuffix('_s')}_timeout_s": given[name] for name in given})


class ConfirmRules(Struct):
    """The limits of confirming finalists and explaining the winner.

    `delta` is the smallest difference of log rates that matters; `share` is the part of the budget's minutes that the
    confirmation may have however little it is predicted to need, and the most that the search keeps for it.
    `finalists_share` of the confirmation's time goes to the finalists, the rest to explaining. A claim is first made
    for the search's best alone, as soon as the search expects less than `first_gain`, a difference of log rates, of its
    next trial. A run has few rounds, so that the first stage of the selection is spread over several launches.

    A claim needs `runs` interleaved runs if the half-width of its interval is by then no more than the part `narrow` of
    the gain, both as logarithms, or than `narrowest`; else `sure_runs`.
    """

    finalists: int = 8
    first_gain: float = math.log(1.10)
    runs: int = 3
    sure_runs: int = 6
    narrow: float = 0.1
    narrowest: float = math.log(1.05)
    most_runs: int = 40
    first_rounds: int = 2
    least_rounds: int = 2
    most_rounds: int = 4
    delta: float = math.log(1.03)
    alpha: float = 0.05
    first_stage: int = 20
    confidence: float = 0.95
    share: float = 1 / 2
    finalists_share: float = 0.76
    idle_share: float = 0.005
