"""Every kind of model that docs/kinds.md names, in a short study; the pretrained ones in all precisions."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from autotune.core.answers import Accuracy
from autotune.core.results import Status
from autotune.space.find import find, shipped
from autotune.space.load import load
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from tests.conftest import ExtendedPackage
from tests.place import ROOT, Place

NAMED = re.findall(r"^\|[^|]+\| `([\w/-]+)\.yaml` \|", (ROOT / "docs" / "kinds.md").read_text(), re.MULTILINE)
KINDS = sorted({Path(name).stem for name in NAMED})
WITH_A_TASK = ("filetypes", "ocr", "retrieval", "tabular", "vad")
"""Those with trained weights, labels, and a metric of their task."""

LOSS = 0.01
"""More of the right answers may not be lost by what is accepted."""


def test_the_page_names_a_file_for_every_kind() -> None:
    assert all((ROOT / "search_spaces" / f"{name}.yaml").is_file() for name in NAMED)
    assert {path.stem for path in shipped() if path.parent.name == "kinds"} | set(WITH_A_TASK) == set(KINDS)
    assert len(KINDS) >= 12


def space_file(name: str) -> Path:
    if name in WITH_A_TASK and not (ROOT / "pretrained" / ".done").exists():
        pytest.skip("needs the weights of `make pretrained`")
    return find(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_short_study_of_each_kind(name: str, tmp_path: Path, shared: Path) -> None:
    place, path = Place(tmp_path, shared / "cache"), space_file(name)
    options = ("--name", "mine", "--skip-confirmation", "--no-budget", "--trials", "3")
    done = place.run_quickly(("-m", "autotune", "--space", str(path), *options))
    assert done.returncode == 0, done.stdout + done.stderr
    results = {result.spec.config.key: result for result in store.results(place.study)}
    assert len(results) == 3
    assert [result.error for result in results.values() if not result.status.measured] == []
    best = place.best()
    assert best.fidelity is not None
    if name in WITH_A_TASK:
        assert best.fidelity.judged
        assert best.accuracy is not None and best.accuracy.drop.estimate <= LOSS


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_A_TASK)
def test_what_is_accepted_by_its_outputs_does_its_task(name: str, lab: ExtendedPackage, tmp_path: Path) -> None:
    """Without the limit on the task itself: the outputs alone tell what answers wrongly, and float32 is accepted."""
    space = load(space_file(name), lab.hardware)
    goal = space.goal
    own = [limit for limit in goal.limits if limit.metric == "accuracy_drop"]
    goal = msgspec.structs.replace(goal, limits=tuple(limit for limit in goal.limits if limit not in own))
    asked = [
        (backend, precision)
        for backend, options in space.domains.backends.items()
        for precision in options.get("precision", ("float32",))
    ]
    specs = [
        lab.spec(backend, {"precision": precision}, trial=trial, batch_size=8, workload=space.workload)
        for trial, (backend, precision) in enumerate(asked)
    ]
    results = lab.execute(tmp_path, specs).results
    assert len(own) == 1
    for (_, precision), result in zip(asked, results, strict=True):
        accepted = result.status is Status.OK and Ranking([result], goal).settled(result).feasible
        if accepted:
            assert isinstance(result.accuracy, Accuracy) and result.accuracy.drop.estimate <= LOSS, result.accuracy
        assert accepted or precision != "float32", result.error
