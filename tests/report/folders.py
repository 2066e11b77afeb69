"""Study folders made by hand, with names that no program should take for anything but names."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from autotune.core.confirmation import Ablation, Confirmation, Finalist, Step
from autotune.core.results import Canary, Candidate, Status, TrialResult
from autotune.core.space_types import Exclusion, Space
from autotune.report.text import study_reader
from autotune.report.text.study_reader import Study
from autotune.study.storage import store
from tests.report.made import (
    CLOSE,
    HW,
    PLAIN,
    config,
    confirmation,
    estimate,
    keep_latencies,
    keep_run,
    numbered,
    result,
    winner,
)
from tests.study.fakes import resolved

SPACE = resolved(HW)
FAST = config("onnxruntime", 8)
HOSTILE = """<script>document.title="taken"</script><img src=x onerror="document.title='taken'"> $(id) `id` | "q" 'q'"""


def keep(
    folder: Path, results: Sequence[TrialResult], found: Confirmation | None = None, space: Space = SPACE
) -> Study:
    """A study's folder with these results, read again."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "domains.json").write_bytes(store.encode(space))
    (folder / "hardware.json").write_bytes(store.encode(HW))
    (folder / "space.yaml").write_text("name: toy # <b>&\n")
    for one in results:
        (folder / one.spec.folder).mkdir(parents=True, exist_ok=True)
        store.write_result(folder, one)
    store.write_confirmation(folder, found)
    return study_reader.read(folder)


def sensed(one: TrialResult, speed: float = 1.0) -> TrialResult:
    """The result with a canary in each block, at so much of the usual speed."""
    canary = Canary(cores=2, compute=100.0 * speed, memory=10.0 * speed, scalar=1.0 * speed)
    blocks = tuple(msgspec.structs.replace(block, canary=canary) for block in one.blocks)
    return msgspec.structs.replace(one, blocks=blocks)


def many(count: int = 40) -> list[TrialResult]:
    """Trials of several backends at made-up rates, the baseline first and the last one failed."""
    dice = random.Random(0)
    found = [result(0, PLAIN, (10, 10.1, 9.9))]
    for number in range(1, count - 1):
        backend = dice.choice(("torch_eager", "onnxruntime", "openvino"))
        options = {"precision": dice.choice(("float32", "int8"))} if backend == "openvino" else {}
        chosen = config(backend, dice.choice((1, 8, 16)), options, allocator=dice.choice(("system", "tcmalloc")))
        rate = {"torch_eager": 11, "onnxruntime": 20, "openvino": 25}[backend] + 40 * (
            options.get("precision") == "int8"
        )
        rates = [rate * dice.uniform(0.97, 1.03) for _ in range(3)]
        found.append(result(number, chosen, rates, peak_rss_bytes=(300 + number) * 2**20, setup_s=1.5, fidelity=CLOSE))
    found = [sensed(one, dice.uniform(0.9, 1.1)) for one in found]
    return [*found, result(count - 1, FAST, error=HOSTILE, status=Status.CRASHED)]


def full(folder: Path) -> Study:
    """A study that has everything a report can show, under a hostile name and with hostile text."""
    best = winner(FAST, folders=("confirmation/finalists-1/0001/winner",), versions={"onnxruntime": "1.0 <b>"})
    ratio = estimate(2.0, 0.1)
    found = confirmation(
        best,
        finalists=(
            Finalist(trial=1, config=FAST, ratio=ratio),
            Finalist(trial=2, config=config("openvino"), ratio=None, error=HOSTILE),
        ),
        ablations=(
            Ablation(setting="backend", value="onnxruntime", instead="torch_eager", ratio=ratio, resolved=True),
            Ablation(setting="allocator", value=HOSTILE, instead="system", ratio=estimate(0.9, 0.05)),
        ),
        path=(
            Step(settings={"backend": "onnxruntime"}, ratio=ratio, total=ratio),
            Step(settings={"batch_size": 8}, ratio=ratio, total=estimate(5.0, 0.1)),
        ),
    )
    space = msgspec.structs.replace(SPACE, excluded=(Exclusion(setting="allocator", value="x", reason=HOSTILE),))
    name = folder / """a <b>"study" $(id) 'of' mine"""
    study = keep(name, many(), found, space)
    keep_run(name, "confirmation/finalists-1/0001", {"winner": Candidate(config=FAST, blocks=numbered((40,)))})
    rows = [(0, 0, 1_000_000 + 10_000 * i, 1) for i in range(100)]
    keep_latencies(name / "confirmation/finalists-1/0001/winner", rows)
    return study
