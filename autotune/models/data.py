"""Real samples of the user's own, split: rows to calibrate quantisation on, and others to judge; labels and metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autotune.core import rows, user_function
from autotune.core.errors import ModelError, did_you_mean
from autotune.core.rows import Axes
from autotune.core.workload_spec import DataSpec, InputSpec
from autotune.models import input_names, input_shapes, sources
from autotune.models.sources import Own

if TYPE_CHECKING:
    from autotune.models.sources import Array, Arrays

METRICS = ("accuracy", "f1")
LEAST_ROWS = 4
"""Of labelled samples: fewer say nothing of an accuracy."""

ENOUGH = 8
"""The fewest different rows on which int8 can be calibrated and judged."""


class Split(NamedTuple):
    """The inputs to calibrate on, and the inputs to judge, with their labels where they have some.

    No row is in both, nor a copy of it, unless fewer than ENOUGH are `different`.
    """

    calibration: Arrays
    inputs: Arrays
    labels: Array | None
    different: int

    @property
    def digest(self) -> str:
        """Equal for equal rows and labels in the same order."""
        import numpy as np

        read = hashlib.sha256()
        for array in (*self.calibration, *self.inputs, *([] if self.labels is None else [self.labels])):
            read.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return read.hexdigest()


def resolve_metric(metric: str, folder: Path) -> str:
    """A metric by its name as it is, a function independent of the folder; ModelError if it is neither."""
    if metric in METRICS:
        return metric
    if sources.kind(metric) != "function":
        raise ModelError(
            f"unknown metric {metric!r}{did_you_mean(metric, METRICS)}; "
            "a function is written file.py:function or package.module:function"
        )
    return user_function.resolve(metric, folder)


def cache_key(spec: DataSpec, seed: int) -> tuple[Any, ...]:
    """The key of the rows: the content of the source, and the numbers of rows."""
    content = sources.cache_key(spec.source, spec.samples + spec.calibration, seed)
    return (*content, spec.samples, spec.calibration)


def metric_key(spec: DataSpec) -> tuple[Any, ...]:
    """The key of the metric: its name, and for a function the content of its own file."""
    if spec.metric is None or spec.metric in METRICS:
        return (spec.metric,)
    return (spec.metric, *user_function.cache_key(spec.metric))


def load(
    spec: DataSpec, seed: int, own: Own = lambda name: None, described: Sequence[InputSpec] | None = None
) -> Split:
    """At most `spec.samples` rows to judge, and `spec.calibration` others; `own` are the functions of the provider.

    The batch is the first dimension of the arrays, or where it stands in the shapes of the inputs that are `described`.
    ModelError in one line if the data cannot be used.
    """
    read = sources.read(spec.source, spec.metric is not None, spec.samples + spec.calibration, seed, own)
    arrays = input_names.ordered(read, spec.source, own)
    axes: Axes = (0,) * len(arrays)
    if described is not None:
        arrays, axes = input_shapes.fitting(arrays, described, spec.source)
    counts = [array.shape[axis] for array, axis in zip(arrays, axes, strict=True) if axis is not None]
    sizes = ", ".join(map(str, counts))
    if read.labels is not None and set(counts) != {len(read.labels)}:
        raise ModelError(f"{spec.source} has {len(read.labels)} labels and inputs of {sizes} rows; give each a label")
    if len(set(counts)) > 1:
        raise ModelError(f"{spec.source} has inputs of {sizes} rows; row i of each is one sample")
    if read.labels is not None and counts[0] < LEAST_ROWS:
        raise ModelError(f"{spec.source} has {counts[0]} rows; give at least {LEAST_ROWS}")
    if read.labels is not None and read.labels.dtype.kind == "U" and spec.metric in METRICS:
        raise ModelError(
            f"the labels of {spec.source} are text, such as {str(read.labels.flat[0])!r}; {spec.metric} needs the "
            "number of each sample's class; write numbers, or a metric of your own: file.py:function"
        )
    return split(arrays, axes, read.labels, spec.samples, spec.calibration, seed)


def split(arrays: Arrays, axes: Axes, labels: Array | None, samples: int, calibration: int, seed: int) -> Split:
    """The rows, along these batch dimensions, in an order that the seed decides: to calibrate on, then to judge.

    Rows of one content are in one part. To calibrate on there is one of each of at most a quarter of the contents, or
    half of them where that is at most ENOUGH. Without labels each content counts once. Fewer than ENOUGH are in both
    parts, without labels as they are. The first rows to judge are the same for any number of samples.
    """
    import numpy as np

    order = np.random.default_rng(seed).permutation(rows.count(arrays, axes))
    contents = _contents(arrays, axes, order)
    firsts = [same[0] for same in contents.values()]
    apart = min(calibration, max(len(firsts) // 4, min(len(firsts) // 2, ENOUGH)))
    calibrating, judging = firsts[:apart], firsts[apart:]
    few = len(firsts) < ENOUGH
    if labels is not None:
        taken = set() if few else {row for same in list(contents.values())[:apart] for row in same}
        judging = [row for row in map(int, order) if row not in taken]
    elif few:
        judging = sorted(firsts)
    calibrating = judging[:calibration] if few else calibrating
    judging = judging if few and labels is None else judging[:samples]
    return Split(
        calibration=rows.taken(arrays, axes, calibrating),
        inputs=rows.taken(arrays, axes, judging),
        labels=None if labels is None else labels[judging],
        different=len(firsts),
    )


def _contents(arrays: Arrays, axes: Axes, order: Iterable[int]) -> dict[bytes, list[int]]:
    """The rows of each content, in this order."""
    import numpy as np

    found: dict[bytes, list[int]] = {}
    for row in order:
        content = hashlib.blake2b(digest_size=16)
        for array in rows.taken(arrays, axes, [row]):
            content.update(np.ascontiguousarray(array).tobytes())
        found.setdefault(content.digest(), []).append(int(row))
    return found
