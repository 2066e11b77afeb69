"""Result types of the confirmation stage (confirmation.json), computed from the runs kept beside it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from autotune.core.answers import Accuracy, Fidelity
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.results import ArtifactRef, Probe
from autotune.core.struct import FORMAT, Struct, Value

Verdict = Literal["faster", "slower", "tie", "undecided"]
"""A pair of configurations; an undecided pair may differ by more than matters, a tie does not."""


LogRatio = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Finalist(Struct):
    """A configuration in the confirmation; `verdict` is the leader's over it (None: the leader itself, or never seen).

    `ratio` is how many times better than the baseline it was by the objective (faster, or less of what is paid), over
    the runs that have both; where these are few by way of another, which is `indirect`. `ratios` are by each objective
    where there are several; `behind` is how many times better the leader was than it. `broken` is the limit that it did
    not keep, in words; `served` what became of its rate of requests, where that is the objective.
    """

    trial: int
    config: Config
    ratio: Estimate | None
    indirect: bool = False
    verdict: Verdict | None = None
    behind: Estimate | None = None
    error: str | None = None
    ratios: dict[str, Estimate] = {}
    broken: str | None = None
    served: str | None = None

    @property
    def measured(self) -> bool:
        """True if it was measured, together with the baseline or with others that were."""
        return self.ratio is not None

    @property
    def leads(self) -> bool:
        """True if the others are compared with this one."""
        return self.measured and self.verdict is None


class Ablation(Struct):
    """The gain of one setting: the winner against itself with that setting at its baseline value.

    `value` is the winner's, `instead` the baseline's. It is `resolved` if it is shown to gain, or to be worth less than
    matters. One not shown to gain is `removed`; else `kept` says why, in words: the winner without all such settings
    loses by that, or was not measured. `runs` is the number of interleaved runs behind the ratio, 0 where an earlier
    version did not keep it.
    """

    setting: str
    value: Value
    instead: Value
    ratio: Estimate | None
    resolved: bool = False
    removed: bool = False
    kept: str | None = None
    error: str | None = None
    runs: int = msgspec.field(default=0, name="sittings")


class Step(Struct):
    """A step on the way from the baseline to the winner; `ratio` is against the step before, `total` the baseline.

    Several settings where one alone cannot be honoured. `runs` is as in an ablation.
    """

    settings: dict[str, Value]
    ratio: Estimate | None
    total: Estimate | None
    runs: int = msgspec.field(default=0, name="sittings")


class Winner(Struct):
    """The configuration that is exported, and what the runs say of it; `trial` is None if no trial measured it.

    `ratio` is by the first objective, None where the baseline's metric is not known. It is `indirect` where few runs
    have both: by way of another configuration, with each of which it has so many runs and rounds at least. `metrics`
    are those of all its interleaved runs by name. `sustained` is the rate of requests that it kept, where asked for.
    """

    trial: int | None
    config: Config
    throughput: Estimate
    ratio: Estimate | None
    runs: int = msgspec.field(name="sittings")
    rounds: int
    folders: tuple[str, ...]
    peak_rss_bytes: int | None
    setup_s: float | None
    cpu_s_per_sample: float
    fidelity: Fidelity | None
    artifact: ArtifactRef | None
    versions: dict[str, str]
    flags: tuple[str, ...] = ()
    accuracy: Accuracy | None = None
    metrics: dict[str, float] = msgspec.field(default={}, name="figures")
    sustained: Probe | None = None
    indirect: bool = False


class Confirmation(Struct):
    """The end of a study: the winner with its claim, how the finalists compare, what each setting is worth.

    `gain` is false where nothing is shown to beat the baseline, which then is the winner. Where nothing is confirmed
    `reason` says why, and the winner is that of the runs so far, None where there is none. `noise_floor` is the log
    ratio that the leading finalist shows against itself: no gain below it is claimed. `disturbed` is the share of all
    blocks behind the winner's figures during which the machine was disturbed. One that is not `finished` was ended
    before it had its claim, or before all was explained.
    """

    confirmed: bool
    gain: bool
    winner: Winner | None
    noise_floor: LogRatio | None
    finalists: tuple[Finalist, ...]
    ablations: tuple[Ablation, ...] = msgspec.field(default=(), name="worths")
    path: tuple[Step, ...] = ()
    reason: str | None = None
    disturbed: float = 0.0
    finished: bool = True
    seconds: float = 0.0
    format: int = FORMAT
