"""Result types of a configuration's answers: how far they are from the reference's, and their accuracy."""

from __future__ import annotations

from autotune.core.estimate import Estimate
from autotune.core.struct import Struct


class Part(Struct):
    """A part of an output and its error: 0 is exact, 1 is as good as a guess; `still` if it no longer varies."""

    name: str
    error: float
    still: bool = False

    @property
    def badness(self) -> tuple[bool, float]:
        """More is worse."""
        return self.still, self.error


class Distances(Struct, kw_only=True):
    """The distance of outputs from the float32 eager reference's, by metric; None is unknown.

    `max_rel_error` is the largest error over the largest value; `top1_agreement` the share of samples with the same
    class, for outputs that are scores of classes (samples × classes) or shares of them. `part` is the worst channel or
    sample.
    """

    cosine_similarity: float
    centred_error: float | None
    max_abs_error: float
    max_rel_error: float | None = None
    top1_agreement: float | None = None
    worst_channel_error: float | None = None
    worst_sample_error: float | None = None
    order_agreement: float | None = None
    neighbours_kept: float | None = None
    agreement: float | None = None
    part: Part | None = None


class OutputFidelity(Distances, kw_only=True):
    """The distance of one output; `name` is its place in what the model returns.

    `matched` says that its items were in another order than the reference's.
    """

    name: str
    matched: bool = False


class Fidelity(Distances, kw_only=True):
    """The distance of all outputs, the worst of `outputs` in each metric.

    `judged` is false where that says nothing, `reason` says why. `noise` is the centred error of the reference against
    itself, of its worst channel: not 0 for a model that is not deterministic.
    """

    judged: bool
    samples: int
    outputs: tuple[OutputFidelity, ...] = ()
    reason: str | None = None
    noise: float | None = None


class Accuracy(Struct):
    """A metric on labelled samples, of the float32 eager reference and of a configuration; higher is better.

    `drop` is reference − value with its 95 % interval over the same samples.
    """

    metric: str
    samples: int
    reference: float
    value: float
    drop: Estimate
