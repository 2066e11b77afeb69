"""The workload of a space file: the model, its inputs or real samples, its requests."""

from __future__ import annotations

from typing import Any, Literal

from autotune.core.struct import Struct, Value

Dtype = Literal["float32", "float64", "float16", "bfloat16", "int8", "int32", "int64", "uint8", "bool"]

Precision = Literal["float32", "as_given"]


class InputSpec(Struct):
    """One input: values that are drawn, a constant `value` (a number, or lists of them), or a state.

    `batch` in the shape stands for the batch size, in any place; a shape without it is the same for every batch.
    Integers lie in [low, high), and so do floats where `bounded`, which otherwise are standard normal. Of a `state` the
    named output of one call is the input of the next; the first one gets zeros, or where `bounded` drawn values.
    `name` is the model's own name of it.
    """

    shape: tuple[int | Literal["batch"], ...] = ()
    dtype: Dtype = "float32"
    low: int | float = 0
    high: int | float = 2
    bounded: bool = False
    name: str | None = None
    value: bool | int | float | list[Any] | None = None
    state: str | None = None

    @property
    def drawn(self) -> bool:
        """True if its values differ between samples: where there are real ones, they are taken from these."""
        return self.value is None and self.state is None

    @property
    def batch_axis(self) -> int | None:
        """The dimension that is the batch; None where there is none."""
        return self.shape.index("batch") if "batch" in self.shape else None


Allowed = Literal["generated_calibration"]
"""What a space file may allow: int8 that is calibrated and compared on other than eight real rows."""


class DataSpec(Struct):
    """Real samples: a `.npz` file, a function (`file.py:function`), a folder of images, or a file of texts.

    `metric` judges outputs by the samples' labels: `accuracy`, `f1` or a function of the user's; None where they have
    none. At most `samples` rows are judged; `calibration` others are kept apart for quantising.
    """

    source: str
    metric: str | None = "accuracy"
    samples: int = 1000
    calibration: int = 64


class ServingSpec(Struct):
    """Requests that arrive by themselves: the latency that a percentile of them may have, counted from arrival.

    A batch waits at most `queue_delay_ms` for more requests.
    """

    latency_ms: float
    percentile: Literal["p50", "p90", "p95", "p99"] = "p99"
    queue_delay_ms: float = 0.0


class WorkloadSpec(Struct):
    """The model (`provider:name`), the provider's options, its inputs or data, and the seed of weights and inputs.

    Beside inputs the data holds those of them that would be drawn. With `serving`, trials also find the largest rate of
    requests that keeps its latency. `allow` is what is searched though it cannot be judged. A torch module of half
    precision is made float32, unless `precision` keeps it as given. `batch_size` is the only one that is tuned; None
    where there are several. `env` names variables that the children get beside those that any child inherits; their
    values are those of the shell, and are in no file.
    """

    model: str
    inputs: tuple[InputSpec, ...]
    options: dict[str, Value | None] = {}
    seed: int = 0
    data: DataSpec | None = None
    serving: ServingSpec | None = None
    allow: tuple[Allowed, ...] = ()
    precision: Precision = "float32"
    batch_size: int | None = None
    env: tuple[str, ...] = ()

    @property
    def labelled(self) -> DataSpec | None:
        """The samples, where they have labels."""
        return self.data if self.data is not None and self.data.metric is not None else None

    @property
    def provider(self) -> str:
        return self.model.partition(":")[0]

    @property
    def name(self) -> str:
        return self.model.partition(":")[2]
