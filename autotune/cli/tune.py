"""The workflow of `--space`: a study from the space file to `best.json`."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from optuna.samplers import BaseSampler
from rich.console import Console

from autotune.cli import invocation, study_messages
from autotune.cli.console import print_lines
from autotune.cli.progress import Display
from autotune.core.confirmation import Winner
from autotune.core.errors import StudyError
from autotune.core.executor import Executor
from autotune.core.machine import Hardware
from autotune.core.rules import ConfirmRules, MeasureRules, within
from autotune.core.space_types import Budget, Space
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.report import lookup
from autotune.report.export import best_of_study, writer
from autotune.report.text import study_reader, summary, table
from autotune.report.text.study_reader import Study
from autotune.space import int8, yaml_nodes
from autotune.space.find import find
from autotune.space.load import load
from autotune.study import stages
from autotune.study.model.points import DomainPoints, Points
from autotune.study.ranking import Ranking
from autotune.study.search import driver, earlier_claim, samplers, transfer
from autotune.study.search.outcome import Outcome
from autotune.study.search.transfer import WarmStart
from autotune.study.storage import database as databases
from autotune.study.storage import disk_errors, opening, store
from autotune.study.storage.opening import OpenStudy


def tune(
    console: Console,
    space_file: str,
    *,
    trials: int | None,
    minutes: float | None,
    no_budget: bool = False,
    name: str | None,
    studies: Path,
    storage: str | None,
    seed: int | None,
    instance_type: str | None,
    skip_confirmation: bool,
    prices: Path | None = None,
    begin_with: Sequence[str] = (),
    sampler: str | None = None,
) -> bool:
    """Search, or go on searching, confirm the winner and write `best.json`; False if nothing keeps the limits or runs.

    A new study first tries what the studies `begin_with`, and those beside it, found best. Nothing is written to the
    study's folder before the space, the machine, the workload and the storage are known good.
    """
    hw = probe.probe(instance_type=instance_type)
    path = find(space_file)
    text = yaml_nodes.text(path)  # once: what is frozen is what was resolved
    space = _with_options(load(path, hw, prices, text), trials, minutes, no_budget, seed)
    folder = studies / _checked_name(name or f"{space.name}@{hw.instance_type}")
    make_sampler = partial(samplers.make, samplers.SURROGATE if sampler is None else sampler)
    make_sampler(0, DomainPoints(space.domains, hw))  # a name that is none ends here
    opening.check(folder, space, text, hw)  # what a killed run left behind would hold the machine for ever
    named = [_earlier(study, studies, folder) for study in begin_with]
    transfer.find(folder, space, hw, named)  # one that cannot be read ends here
    settles = sampler in (None, samplers.SURROGATE) and len(space.goal.objectives) == 1
    with (
        Display(console, space, settles=settles) as display,
        LocalExecutor(hw, folder, artifact_cache.default_folder(), display) as executor,
    ):
        checked = executor.check(space.workload, within(MeasureRules(), space.limits))
        space = int8.settled(space, checked.different_rows)
        first = transfer.find(folder, space, hw, named)
        with opening.opened(folder, space, text, hw, storage) as study:
            space = study.space
            shown = None if storage is None else databases.public(storage)
            options = store.Options(
                storage=shown, skip_confirmation=skip_confirmation, begin_with=tuple(begin_with), sampler=sampler
            )
            store.write_options(folder, options)
            store.write_findings(folder, checked.findings)
            earlier = table.counted(store.results(folder))
            display.resume(earlier, store.elapsed_s(folder))
            transfer.write(folder, first)
            print_lines(console, study_messages.introduction(space, hw, folder, len(earlier), first, sampler))
            print_lines(console, summary.model(checked.findings))
            console.print()
            try:
                _work(console, study, executor, display, first, make_sampler, skip_confirmation)
            except KeyboardInterrupt:
                display.stop()
                console.print("\ninterrupted; what is finished is kept", highlight=False)
                _conclude(console, folder, space, hw)
                console.print(f"go on     {invocation.again(storage)}", soft_wrap=True)
                raise
    console.print()
    return _conclude(console, folder, space, hw)


def _work(
    console: Console,
    study: OpenStudy,
    executor: Executor,
    display: Display,
    first: WarmStart,
    make_sampler: Callable[[int, Points], BaseSampler],
    skip_confirmation: bool,
) -> None:
    """Search, then confirm unless that is to be skipped, and say how each ended."""
    space, rules = study.space, within(MeasureRules(), study.space.limits)

    def claimed(winner: Winner) -> None:
        display.claimed(winner)
        with disk_errors.reported(study.folder):
            _export(_read(study.folder, space, study.hardware))

    def searched(outcome: Outcome) -> None:
        console.print()
        predicted_s = display.search.predicted_s if display.worked else None
        print_lines(console, study_messages.search_ended(outcome, space.budget, skip_confirmation, predicted_s))

    if skip_confirmation:
        outcome = driver.search(study, executor, display, rules, earlier=first.configs, make_sampler=make_sampler)
        searched(outcome)
        earlier_claim.drop_if_challenged(study)
        confirmation = None
    else:
        outcome, confirmation = stages.run(
            study,
            executor,
            display,
            rules,
            ConfirmRules(),
            earlier=first.configs,
            make_sampler=make_sampler,
            claimed=claimed,
            searched=searched,
        )
    if not display.worked:
        print_lines(console, [study_messages.nothing_measured(outcome, space.budget, confirmation, skip_confirmation)])


def _with_options(space: Space, trials: int | None, minutes: float | None, no_budget: bool, seed: int | None) -> Space:
    given = Budget() if no_budget else space.budget
    budget = Budget(
        trials=given.trials if trials is None else trials,
        minutes=given.minutes if minutes is None else minutes,
    )
    workload = space.workload if seed is None else msgspec.structs.replace(space.workload, seed=seed)
    return msgspec.structs.replace(space, budget=budget, workload=workload)


def _earlier(study: str, studies: Path, folder: Path) -> Path:
    """The folder of a study to begin with; of one that has begun with it, it may be gone by now."""
    try:
        return lookup.folder(study, studies)
    except StudyError:
        if not store.numbers(folder):
            raise
        return Path(study)


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", name):
        raise StudyError(
            f"a study cannot be named {name!r}; allowed are letters, digits and ._@+-, a letter or digit first"
        )
    return name


def _conclude(console: Console, folder: Path, space: Space, hw: Hardware) -> bool:
    study = _read(folder, space, hw)
    print_lines(console, summary.summary(study))
    exported = _export(study)
    if exported:
        console.print(f"file      {shlex.quote(str(folder / 'best.json'))}", soft_wrap=True)
        console.print(f"next      {invocation.program()} show {shlex.quote(str(folder))}", soft_wrap=True)
    return exported


def _read(folder: Path, space: Space, hw: Hardware) -> Study:
    """The study as it is now, with the space and the machine of this run."""
    study = study_reader.read(folder)
    ranking = Ranking(study.results, space.goal)
    return dataclasses.replace(study, space=space, hardware=hw, ranking=ranking)


def _export(study: Study) -> bool:
    """Write `best.json`; False where there is no winner."""
    best = best_of_study.best(study.folder, study.space, study.hardware, study.results, study.confirmation)
    if best is not None:
        writer.write(study.folder / "best.json", best)
    return best is not None
