from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.space_types import Price
from autotune.report.page import rerun_commands
from autotune.study.storage import store
from tests.report.folders import SPACE, keep, many


def test_the_command_is_quoted_and_has_what_the_study_had(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, budget=msgspec.structs.replace(SPACE.budget, trials=5, minutes=2.5))
    study = keep(tmp_path / "it's $(id)", many(), space=space)
    (again,) = rerun_commands.commands(study)
    assert again.startswith("""python -m autotune --space toy.yaml --name 'it'"'"'s $(id)-again' """)
    assert "--trials 40 --minutes 2.5 --seed 0" in again and "--no-budget" not in again


def test_without_one_of_the_limits_the_budget_of_the_space_file_is_left_out(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, budget=msgspec.structs.replace(SPACE.budget, trials=5, minutes=None))
    (again,) = rerun_commands.commands(keep(tmp_path / "toy", many(3), space=space))
    assert "--trials 5 --no-budget" in again and "--minutes" not in again


def test_prices_that_the_space_file_does_not_have_are_named(tmp_path: Path) -> None:
    study = keep(tmp_path / "toy", many(3), space=msgspec.structs.replace(SPACE, price=Price(per_hour=1.0)))
    assert "--prices prices.yaml" in rerun_commands.commands(study)[0]
    (study.folder / "space.yaml").write_text("name: toy\nprices: {toy.large: 1.0}\n")
    assert "--prices" not in rerun_commands.commands(study)[0]


def test_the_command_has_the_options_that_the_space_does_not_tell(tmp_path: Path) -> None:
    study = keep(tmp_path / "toy", many(3))
    (again,) = rerun_commands.commands(study)
    assert "--storage" not in again and "--skip-confirmation" not in again
    store.write_options(study.folder, store.Options(storage="postgresql://me:***@host/db", skip_confirmation=True))
    assert rerun_commands.commands(study)[0].endswith("--storage 'postgresql://me:***@host/db' --skip-confirmation")
    store.write_options(study.folder, store.Options(begin_with=("old $(id)", "b"), sampler="tpe"))
    assert rerun_commands.commands(study)[0].endswith("--from 'old $(id)' --from b --sampler tpe")


def test_a_winner_that_was_exported_can_be_verified_and_run(tmp_path: Path) -> None:
    study = keep(tmp_path / "my toy", many(3))
    best = study.folder / "best.json"
    best.write_text("{}")
    _, verify, run = rerun_commands.commands(study)
    assert verify == f"python -m autotune verify '{best}'"
    assert run == f"python -m autotune run '{best}' -- python serve.py"
