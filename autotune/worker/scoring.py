"""Metrics on labelled samples, and the drop of one model's below another's on the same samples.

Of each sample an answer is kept: the predicted class for `accuracy` and `f1`, the score for a function of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autotune.core.errors import ModelError
from autotune.core.estimate import Estimate
from autotune.core.user_function import last_line

Array = np.ndarray[Any, Any]
Scores = Callable[[tuple[Array, ...], Array], Any]

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The quantile of the standard normal distribution that 95 % intervals take."""

RESAMPLES = 2000


# ------------------------------------------------------------------------------------------------------ the answers


def predicted_classes(outputs: tuple[Array, ...], labels: Array) -> Array:
    """The class with the largest score in the first output, or the first output itself where it is whole numbers.

    ModelError where classes and labels do not fit.
    """
    scores = outputs[0]
    chosen = scores.ndim == 1 and scores.dtype.kind in "iu"
    if not (chosen or (scores.ndim == 2 and scores.shape[1] > 1)) or len(scores) != len(labels):
        raise ModelError(
            f"the first output has shape {scores.shape} for {len(labels)} samples; accuracy and f1 need "
            "(samples, classes), or classes as whole numbers, anything else a metric of your own: file.py:function"
        )
    if labels.ndim != 1 or labels.dtype.kind not in "biu":
        raise ModelError(
            f"the labels are {labels.dtype} of shape {labels.shape}; accuracy and f1 need one whole number a sample"
        )
    if chosen:
        return scores
    classes = scores.shape[1]
    if len(wrong := labels[(labels < 0) | (labels >= classes)]):
        raise ModelError(f"label {wrong[0]} is none of the model's {classes} classes; they are 0 to {classes - 1}")
    if missing := int(np.isnan(scores).any(axis=1).sum()):
        raise ModelError(f"the first output is NaN for {missing} of {len(labels)} samples")
    classes_predicted: Array = scores.argmax(axis=1)
    return classes_predicted


def sample_scores(function: Scores, name: str, outputs: tuple[Array, ...], labels: Array) -> Array:
    """The scores of a function of the user's; ModelError, with its own last line, unless it gives one a sample."""
    try:
        scores = np.asarray(function(outputs, labels))
    except (Exception, SystemExit) as error:
        raise ModelError(f"metric {name} raised {last_line(error)}") from error
    if scores.shape != (len(labels),) or scores.dtype.kind not in "biuf":
        got = f"{scores.dtype} of shape {scores.shape}" if scores.ndim else f"one {type(scores.item()).__name__}"
        raise ModelError(f"metric {name} returned {got} for {len(labels)} samples; return one score a sample")
    scores = scores.astype(np.float64)
    if wrong := int((~np.isfinite(scores)).sum()):
        raise ModelError(
            f"metric {name} returned NaN or Inf for {wrong} of {len(labels)} samples; return finite scores"
        )
    return scores


# ---------------------------------------------------------------------------------------------------------- figures


def value(metric: str, answers: Array, labels: Array) -> float:
    """The metric: the share of right classes, macro F1, or the mean score."""
    if metric == "accuracy":
        return float((answers == labels).mean())
    return macro_f1(answers, labels) if metric == "f1" else float(answers.mean())


def macro_f1(classes: Array, labels: Array) -> float:
    """The mean over classes of 2·TP / (predicted + labelled), over those that are predicted or labelled at all."""
    labels = labels.astype(np.int64)
    count = int(max(classes.max(), labels.max())) + 1
    hits = np.bincount(labels[classes == labels], minlength=count)
    both = np.bincount(classes, minlength=count) + np.bincount(labels, minlength=count)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


def drop(metric: str, reference: Array, answers: Array, labels: Array) -> Estimate:
    """The metric of `reference` less that of `answers`, with a 95 % interval over the samples."""
    lower = value(metric, reference, labels) - value(metric, answers, labels)
    if metric == "accuracy":
        low, high = paired_shares(reference == labels, answers == labels)
    else:
        low, high = bootstrap(
            lambda rows: value(metric, reference[rows], labels[rows]) - value(metric, answers[rows], labels[rows]),
            len(labels),
        )
    return Estimate(estimate=lower, low=low, high=high)


def paired_shares(one: Array, other: Array) -> tuple[float, float]:
    """The 95 % interval of share(one) − share(other) over matched pairs of truths.

    Agresti and Min (2005), Statistics in Medicine 24: Wald's interval with 0.5 added to each cell of the 2×2 table.
    """
    gained = float((one & ~other).sum()) + 0.5
    lost = float((other & ~one).sum()) + 0.5
    count = len(one) + 2.0
    middle = (gained - lost) / count
    error = math.sqrt(gained + lost - (gained - lost) ** 2 / count) / count
    return max(middle - Z * error, -1.0), min(middle + Z * error, 1.0)


def bootstrap(figure: Callable[[Array], float], count: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """The 95 % percentile interval of a figure of rows, over samples of the rows drawn with replacement; seeded."""
    rng = np.random.default_rng(0)
    drawn = [figure(rng.integers(count, size=count)) for _ in range(resamples)]
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
