from __future__ import annotations

import msgspec

from autotune.analysis.constraints import ConstraintCheck
from autotune.core.answers import Fidelity, OutputFidelity, Part
from autotune.core.space_types import Limit
from autotune.launch import fidelity


def closeness(cosine: float, error: float | None, agreed: float | None = None) -> Fidelity:
    output = OutputFidelity(
        name="output", cosine_similarity=cosine, centred_error=error, max_abs_error=0.1, top1_agreement=agreed
    )
    return Fidelity(
        judged=True,
        samples=8,
        cosine_similarity=cosine,
        centred_error=error,
        max_abs_error=0.1,
        top1_agreement=agreed,
        outputs=(output,),
    )


def test_the_worst_worker_decides_each_figure() -> None:
    one, other = closeness(0.99, 0.3, 1.0), closeness(0.9, 0.01, 0.5)
    for workers in ([one, other], [other, one]):
        found = fidelity.worst(workers)
        assert found is not None
        assert (found.cosine_similarity, found.centred_error, found.top1_agreement) == (0.9, 0.3, 0.5)
        (output,) = found.outputs
        assert (output.cosine_similarity, output.centred_error, output.top1_agreement) == (0.9, 0.3, 0.5)


def test_the_worst_part_of_all_workers_is_named() -> None:
    parts = [Part(name="channel 1", error=0.1), Part(name="channel 2 no longer varies", error=1.0), None]
    workers = [msgspec.structs.replace(closeness(0.9, 0.1), part=part) for part in parts]
    found = fidelity.worst(workers)
    assert found is not None and found.part == parts[1]
    limit = ConstraintCheck(Limit(metric="worst_channel_error", max=0.5), "worst_channel_error", 1.0)
    said = "worst_channel_error is 1, allowed at most 0.5"
    assert fidelity.broken(limit, found) == f"{said}; the worst part: channel 2 no longer varies"
    assert fidelity.broken(limit, workers[2]) == fidelity.broken(limit, None) == said


def test_the_limit_of_a_sample_names_no_channel() -> None:
    limit = ConstraintCheck(Limit(metric="worst_sample_error", max=1.0), "worst_sample_error", 2.0)
    said = "worst_sample_error is 2, allowed at most 1"
    for name, end in (("channel 2 no longer varies", ""), ("sample 3", "; the worst part: sample 3")):
        answers = msgspec.structs.replace(closeness(0.9, 0.1), part=Part(name=name, error=2.0))
        assert fidelity.broken(limit, answers) == said + end


def test_what_is_not_to_be_had_stays_so_and_fewest_samples_count() -> None:
    few = msgspec.structs.replace(closeness(0.99, None), samples=3)
    found = fidelity.worst([closeness(0.99, None), few])
    assert found is not None
    assert (found.centred_error, found.top1_agreement, found.samples) == (None, None, 3)


def test_where_nothing_was_compared_there_is_nothing() -> None:
    assert fidelity.worst([None, None]) is fidelity.worst([]) is None
    assert fidelity.worst([closeness(0.9, 0.1)]) == closeness(0.9, 0.1)
