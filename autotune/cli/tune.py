"""What `--space` does: a study from the space file to `best.json`."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
from optuna.samplers import BaseSampler
from rich.console import Console

from autotune.cli.progress import Display
from autotune.core.confirmation import Confirmation
from autotune.core.errors import StudyError
from autotune.core.machine import Hardware
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget, Space
from autotune.hardware import probe
from autotune.launch.local_executor import Machine
from autotune.models import artifacts
from autotune.report import lookup
from autotune.report.export import export
from autotune.report.text import formatting, plan, study_reader, summary, table
from autotune.space import goal_section, yaml_nodes
from autotune.space.find import find
from autotune.space.load import load
from autotune.study import versions
from autotune.study.confirm import stage
from autotune.study.search import driver, earlier_claim, suggest, transfer
from autotune.study.search import sampler as samplers
from autotune.study.search.points import DomainPoints, Points
from autotune.study.search.transfer import Earlier
from autotune.study.storage import database as databases
from autotune.study.storage import opening, store
from autotune.study.storage.opening import OpenStudy

ENDED = {
    "trials": "all trials of the budget are done",
    "minutes": "the search's part of the budget's minutes is used up",
    "exhausted": "every configuration of the space was tried",
    "settled": "nothing untried that is likely to run promises another 1 %",
    "stale": f"the last {driver.STALE} trials found nothing better",
}
ALL_MINUTES = "the budget's minutes are used up"


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
    first = transfer.find(folder, space, hw, [_earlier(study, studies, folder) for study in begin_with])
    with (
        Display(console, space) as display,
        Machine(hw, folder, artifacts.default_folder(), display) as machine,
    ):
        machine.check(space.workload, MeasureRules())
        with opening.opened(folder, space, text, hw, storage) as study:
            space = study.space
            shown = None if storage is None else databases.public(storage)
            options = store.Options(
                storage=shown, skip_confirmation=skip_confirmation, begin_with=tuple(begin_with), sampler=sampler
            )
            store.write_options(folder, options)
            earlier = table.counted(store.results(folder))
            display.resume(earlier, store.elapsed_s(folder))
            transfer.keep(folder, first)
            _introduce(console, space, hw, folder, len(earlier), first, sampler)
            try:
                _work(console, study, machine, display, first, make_sampler, skip_confirmation)
            except KeyboardInterrupt:
                display.stop()
                console.print("\ninterrupted; what is finished is kept", highlight=False)
                _conclude(console, folder, space, hw)
                console.print(f"go on     {command(storage)}", soft_wrap=True)
                raise
    console.print()
    return _conclude(console, folder, space, hw)


def _work(
    console: Console,
    study: OpenStudy,
    machine: Machine,
    display: Display,
    first: Earlier,
    make_sampler: Callable[[int, Points], BaseSampler],
    skip_confirmation: bool,
) -> None:
    """Search, then confirm unless that is to be skipped, and say how each ended."""
    rules, confirm_rules = MeasureRules(), ConfirmRules()
    reserved = 0.0 if skip_confirmation else confirm_rules.share
    outcome = driver.search(
        study,
        machine.execute,
        display,
        rules,
        earlier=first.configs,
        reserved=reserved,
        make_sampler=make_sampler,
    )
    ended = ALL_MINUTES if skip_confirmation and outcome.reason == "minutes" else ENDED[outcome.reason]
    console.print(f"\n{ended}, after {formatting.duration(outcome.elapsed_s)}")
    if outcome.reason == "minutes" and not outcome.trials:
        console.print("they were too few for a trial; raise --minutes")
    found = None
    if skip_confirmation:
        earlier_claim.drop_if_challenged(study)
    else:
        found = stage.confirm(study, machine.interleave, display, rules, confirm_rules, sustain=machine.sustain)
    if not display.worked:
        console.print(_idle(outcome, study.space.budget, found, skip_confirmation), soft_wrap=True)


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


def _idle(outcome: driver.Outcome, budget: Budget, found: Confirmation | None, skip_confirmation: bool) -> str:
    """Why a study measured nothing, and what gives it more to do."""
    if found is not None and found.reason is not None:
        return f"the budget is used up: {found.reason}"
    most = {"trials": budget.trials, "minutes": budget.minutes}.get(outcome.reason)
    more = [] if most is None else [f"raise --{outcome.reason} ({most:g} now) to search further"]
    more += ["leave out --skip-confirmation to confirm"] if skip_confirmation else []
    return "; ".join(["nothing is left to do", ", ".join(more)]) if more else "nothing is left to do"


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]*", name):
        raise StudyError(
            f"a study cannot be named {name!r}; allowed are letters, digits and ._@+-, a letter or digit first"
        )
    return name


def _introduce(
    console: Console, space: Space, hw: Hardware, folder: Path, earlier: int, first: Earlier, sampler: str | None
) -> None:
    count = suggest.count(space.domains)
    limits = [formatting.number(space.budget.trials, "trial")] if space.budget.trials is not None else []
    limits += [formatting.number(space.budget.minutes, "minute")] if space.budget.minutes is not None else []
    size = f"up to {formatting.number(count, 'configuration')}, {formatting.number(len(hw.cores), 'core')}"
    head = f"{space.workload.model} on {hw.instance_type}: {size}"
    console.print(head, soft_wrap=True)
    console.print(f"study     {folder}" + (f", going on after trial {earlier}" if earlier else ""), soft_wrap=True)
    for change in versions.changes(store.results(folder), hw):
        console.print(f"versions  {change}, which are marked; a confirmation measures anew", soft_wrap=True)
    console.print(f"budget    {' or '.join(limits) or 'none: until nothing better is to be expected'}")
    wanted = [f"{name} at its best" for name in space.goal.objectives if space.goal.objectives != ("throughput",)]
    limits = [formatting.bounds(limit) for limit in space.constraints if limit != goal_section.ANSWERS]
    if wanted or limits:
        console.print(f"wanted    {', '.join([*wanted, *limits])}", soft_wrap=True)
    if sampler is not None:
        console.print(f"sampler   {sampler}", soft_wrap=True)
    if first.sources and not earlier:
        taken = (
            f"{formatting.number(count, 'configuration') if count else 'none'} from {plan.quoted(source.study)}"
            for source in first.sources
            for count in [len(source.configs)]
        )
        console.print(f"first     {', '.join(taken)}", soft_wrap=True)
    for left_out in space.excluded:
        console.print(f"left out  {left_out.setting} {left_out.value}: {left_out.reason}", soft_wrap=True)
    console.print()


def _conclude(console: Console, folder: Path, space: Space, hw: Hardware) -> bool:
    study = study_reader.read(folder)
    lookup.say(console, summary.summary(folder, study.results, space, study.confirmation))
    found = export.best(folder, space, hw, study.results, study.confirmation)
    if found is not None:
        export.write(folder / "best.json", found)
        console.print(f"file      {shlex.quote(str(folder / 'best.json'))}", soft_wrap=True)
        console.print(f"next      {program()} show {shlex.quote(str(folder))}", soft_wrap=True)
    return found is not None


def program() -> str:
    """How this program was started, so that a printed command runs as it stands."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        return shlex.join([str(python.relative_to(Path.cwd())), "-m", "autotune"])
    same = shutil.which("python") == str(python)
    return shlex.join(["python" if same else str(python), "-m", "autotune"])


def command(storage: str | None) -> str:
    """The same command again, without the password that a storage's URL may hold."""
    arguments = sys.argv[1:]
    if storage is not None:
        arguments = [argument.replace(storage, databases.public(storage)) for argument in arguments]
    return f"{program()} {shlex.join(arguments)}"
