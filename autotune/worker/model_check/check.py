"""What a few calls of the plain model show before anything is tuned: the findings, and how its rows are to be run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.analysis.number_format import size
from autotune.core.errors import AutotuneError, ModelError
from autotune.core.finding import Finding
from autotune.core.user_function import last_line
from autotune.models.workload import BuiltWorkload
from autotune.worker.model_check import first_calls, memory, precision, repeats, rows, threads, training, weights
from autotune.worker.model_check.first_calls import FirstCall
from autotune.worker.model_check.subject import Subject

KEPT_BYTES = 2**28
"""The most memory that the outputs of the reference may take."""

LEAST_ROWS = 2
"""The fewest rows whose answers can be judged: outputs must vary."""


@dataclass(frozen=True)
class Checkup:
    """The findings; `together` is true where rows are to be run in batches of the one size that is tuned, if one is.

    `rows` is the most of which the outputs are to be kept; None for no limit.
    """

    findings: tuple[Finding, ...]
    together: bool = False
    rows: int | None = None


def checked(subject: Subject, workload: BuiltWorkload, environ: Mapping[str, str]) -> Checkup:
    """As `check`, with what is known of the workload; ModelError for the first error, or if it cannot be called."""
    file = workload.file() if workload.form == "onnx" else None
    kept = workload.spec.precision == "as_given"
    try:
        found = check(subject, file, environ)
    except AutotuneError:
        raise
    except Exception as error:
        if workload.half is None or kept:
            given = ", ".join(f"{array.dtype} {list(array.shape)}" for array in subject.rows)
            why = " ".join(str(error).split())[:160].rstrip(".")
            raise ModelError(
                f"the model cannot be called with {given}: {type(error).__name__}: {why}; give what it takes"
            ) from error
        raise ModelError(
            f"the module, {workload.half} and made float32, cannot be called: {last_line(error)}; "
            "write precision: as_given under workload to keep it"
        ) from error
    for one in found.findings:
        if one.severity == "error":
            raise ModelError(one.line)
    types = precision.notices(workload.half, kept=kept)
    return dataclasses.replace(found, findings=(*types, *found.findings))


def check(subject: Subject, file: Path | None, environ: Mapping[str, str]) -> Checkup:
    """Call the model with one row and with several, and look at what it does.

    `file` is its ONNX file, where it has one; `environ` the environment before any of its code ran. An error of a
    model that cannot be called at all is raised as it is.
    """
    limit = threads.now(subject)
    one = None if subject.fixed is not None else first_calls.call(subject, (0,))
    more = first_calls.call(subject, first_calls.several(subject, one))
    if changed := more.changed or (one and one.changed):
        return Checkup((changed,))
    good = [found for found in (more, one) if found is not None and found.outputs is not None]
    if not good:
        if subject.tuned is not None and subject.tuned != len(more.places):
            return Checkup((), together=True)
        raise more.error or ValueError("the model returns nothing")
    said = list(_alike(subject, one, more, good[0]))
    together = bool(said) or (subject.tuned is not None and subject.tuned <= subject.count)
    findings = [
        *weights.find(subject, good[0].outputs or {}, file),
        *filter(None, [threads.find(subject, subject.picked(*good[0].places), limit)]),
        *said,
    ]
    if any(one.severity == "error" for one in findings):
        return Checkup(tuple(findings), together)
    if one is not None and one.outputs is not None and (grows := memory.find(subject, subject.picked(0), one.seconds)):
        findings.append(grows)
    findings += threads.variables(environ)
    if subject.fixed is None and subject.count * good[0].row_bytes > KEPT_BYTES:
        kept = max(LEAST_ROWS, KEPT_BYTES // good[0].row_bytes)
        findings.append(_large(good[0].row_bytes, kept))
        return Checkup(tuple(findings), together, kept)
    return Checkup(tuple(findings), together)


def _large(row_bytes: int, kept: int) -> Finding:
    return Finding(
        what=f"the outputs take {size(row_bytes)} a row, so the answers of only {kept} rows are kept and compared",
        instead="return less, such as the classes instead of all scores",
    )


def _alike(subject: Subject, one: FirstCall | None, more: FirstCall, good: FirstCall) -> Iterator[Finding]:
    """What is said of calls that should give a row the same answer: again, beside other rows, and alone."""
    assert good.outputs is not None
    batch = subject.picked(*good.places)
    again = first_calls.again(subject, batch)
    if isinstance(again, Finding):
        yield again
        return
    found = repeats.find(subject, batch, good.outputs, again) or first_calls.failed(subject, one, more)
    if found is None and more.outputs is not None:
        alone = {0: one.outputs} if one is not None and one.outputs is not None else {}
        last = more.places[-1]
        if alone and last:
            alone[last] = subject.call(subject.picked(last))
        found = rows.find(subject, more.places, more.outputs, alone)
    if in_training := training.find(subject.module, matters=found is not None):
        yield in_training
    elif found is not None:
        yield found
