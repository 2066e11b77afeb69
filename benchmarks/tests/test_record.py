"""The recording of a space (`benchmarks/record.py`): what is measured next, and what is kept of it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status, TrialResult
from autotune.core.specs import TrialSpec
from autotune.space.goal_section import ANSWERS
from autotune.study.model import suggest
from autotune.study.ranking import Ranking
from autotune.study.storage import store
from tests.study.fakes import SMALL, resolved

sys.path.append(str(Path(__file__).parents[1]))

import record
from recorded import FOLDER, Table

from benchmarks.tests.made_table import HW, answers, blocks

SPACE = msgspec.structs.replace(resolved(HW, SMALL), constraints=ANSWERS)
CONFIGS = list(suggest.untried(SMALL, HW, (), random.Random(0)))


def result(number: int, error: float = 0.0, launch: int = 0) -> TrialResult:
    """A trial of the configuration of this number; the later ones are faster."""
    number += launch * len(CONFIGS)
    config = CONFIGS[number % len(CONFIGS)]
    spec = TrialSpec(id=number, workload=SPACE.workload, config=config, folder=store.trial_folder(number))
    rate = 10.0 * (1 + number % len(CONFIGS))
    return TrialResult(spec=spec, status=Status.OK, blocks=blocks(rate), fidelity=answers(error))


def test_each_configuration_comes_first_then_the_best_that_keep_the_limits() -> None:
    done: list[TrialResult] = []
    while (spec := record.following(CONFIGS, SPACE, done)) is not None:
        number, launch = spec.id % len(CONFIGS), spec.id // len(CONFIGS)
        done.append(result(number, error=2.0 if number == len(CONFIGS) - 1 else 0.0, launch=launch))
    assert [one.spec.id for one in done[: len(CONFIGS)]] == list(range(len(CONFIGS)))
    again = [one.spec.id % len(CONFIGS) for one in done[len(CONFIGS) :]]
    assert sorted(again) == sorted((record.LAUNCHES - 1) * list(range(len(CONFIGS) - 1)))
    assert again[0] == len(CONFIGS) - 2


def test_a_row_keeps_what_the_trial_answered_and_that_it_broke_a_limit() -> None:
    right, wrong = result(0), result(1, error=2.0)
    ranking = Ranking((right, wrong), SPACE.goal)
    rows = [record.row(ranking.settled(one), whole=SPACE, hw=HW) for one in (right, wrong)]
    assert [(row.feasible, row.fidelity) for row in rows] == [(True, answers(0.0)), (False, answers(2.0))]


@pytest.mark.parametrize(
    ("model", "kept"),
    [
        (f"transformers:{FOLDER.resolve()}/models/encoder", "transformers:models/encoder"),
        ("torchvision:resnet18", "torchvision:resnet18"),
    ],
)
def test_a_table_does_not_say_where_a_model_and_libraries_lay(model: str, kept: str) -> None:
    space = msgspec.structs.replace(SPACE, workload=msgspec.structs.replace(SPACE.workload, model=model))
    hardware = msgspec.structs.replace(HW, libraries={"tcmalloc": "/opt/lib/libtcmalloc_minimal.so.4"})
    found = record.portable(Table(space=space, hardware=hardware, rows=()))
    assert found.space.workload.model == kept
    assert found.hardware.libraries == {"tcmalloc": "libtcmalloc_minimal.so.4"}
