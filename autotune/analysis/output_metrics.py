"""Metrics of a configuration's outputs beside the float32 model's: entries of the registry in `metrics`."""

from __future__ import annotations

from typing import Any

from autotune.analysis.metric import Measured, Metric


def _output(name: str, unit: str, **about: Any) -> Metric:
    """A distance of the outputs from the float32 model's, the worst of all outputs."""

    def read(measured: Measured) -> float | None:
        fidelity = measured.result.fidelity
        return getattr(fidelity, name) if fidelity is not None and fidelity.judged else None

    about = {"unmeasured": "these outputs have no such metric"} | about
    return Metric(name=name, unit=unit, read=read, objective=False, needs="outputs", **about)


OUTPUTS = (
    _output(
        "cosine_similarity",
        unit="",
        better="higher",
        description="the least of all samples, against the float32 model",
        bounds=(-1.0, 1.0),
    ),
    _output("centred_error", unit="", better="lower", description="error energy over the variation between inputs"),
    _output(
        "worst_channel_error",
        unit="",
        better="lower",
        description="the same of the worst channel; 1 at least where a channel no longer varies",
        unmeasured="no channel varies between inputs",
    ),
    _output(
        "worst_sample_error",
        unit="",
        better="lower",
        description="the worst sample's error energy over the variation between inputs",
        unmeasured="the outputs do not vary between inputs",
    ),
    _output(
        "order_agreement",
        unit="",
        better="higher",
        description="1 where each sample's values are in the float32 model's order, 0 by chance, -1 reversed",
        bounds=(-1.0, 1.0),
        unmeasured="no output has a row of numbers for each sample",
    ),
    _output(
        "neighbours_kept",
        unit="",
        better="higher",
        description="the share of samples with the float32 model's nearest neighbour, by their embeddings",
        bounds=(0.0, 1.0),
        unmeasured="no output is an embedding, or too few samples were compared",
    ),
    _output(
        "agreement",
        unit="",
        better="higher",
        description="the share of whole numbers and truths that are the float32 model's",
        bounds=(0.0, 1.0),
        unmeasured="no output has whole numbers or truths",
    ),
    _output("max_abs_error", unit="", better="lower", description="the largest error of any output"),
    _output(
        "max_rel_error",
        unit="",
        better="lower",
        description="the largest error over the largest value of its output",
    ),
    _output(
        "top1_agreement",
        unit="",
        better="higher",
        description="the share of samples with the float32 model's class",
        bounds=(0.0, 1.0),
        unmeasured="no output has classes",
    ),
)
