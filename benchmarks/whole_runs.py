"""Whole runs, search and confirmation, replayed on the spaces that were recorded: how soon, how sure, how good?

Each run has the budget of a shipped space file, on the machine as it was recorded, on one that takes twice as long for
everything, and on one with 1.5 times the noise. Prints for each the share that ends confirmed, the time until there is
a confirmed claim, how far what is exported lies below the best, and how often the interval that a user reads holds the
truth, by the evidence behind it. Runs are kept in the folder as they end; the same command goes on.

    python benchmarks/whole_runs.py FOLDER [--seeds 50] [--jobs 2] [--spaces NAME ...] [--before FILE] [--keep FILE]

`--keep` writes what `--before` reads: the runs of one state of the code, which a later one is compared with. Time is
simulated, so that both may come from different machines.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import gzip
import hashlib
import math
import multiprocessing
import os
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from recorded_executor import MACHINES, RecordedExecutor
from replay import Own, digest, load, names, recorded
from whole_runs_report import Figure, Run, Runs, Task, report

import autotune
from autotune.core.best import Best
from autotune.core.executor import HookedExecutor
from autotune.core.observer import Observer
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget
from autotune.core.specs import TrialSpec
from autotune.report.export import best_of_study
from autotune.study import stages
from autotune.study.storage import store
from autotune.study.storage.opening import opened

BUDGET = Budget(trials=28, minutes=8)
"""That of `search_spaces/resnet50.yaml`."""

BUDGETS = {"sentences": Budget(trials=40, minutes=12)}
"""That of `search_spaces/embedding.yaml` for its kind of model."""

BEFORE = Path(__file__).parent / "whole_runs_before.json.gz"
"""The runs of 2026-11-30, before a search with a budget could end early; 50 seeds."""

FIRST_SEED = 5000
SEEDS = 50


def main() -> int:
    """Run what is missing, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2)
    spaces = [name for name in names() if recorded(name)]
    parser.add_argument("--spaces", nargs="+", choices=spaces, default=spaces, metavar="SPACE")
    parser.add_argument("--machines", nargs="+", choices=list(MACHINES), default=list(MACHINES), metavar="KIND")
    parser.add_argument("--before", type=Path, default=BEFORE, help="the kept runs of an earlier state")
    parser.add_argument("--keep", type=Path, help="write the runs to this file")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started now
    tasks = [
        Task(space=space, machine=machine, seed=seed)
        for seed in range(FIRST_SEED, FIRST_SEED + options.seeds)
        for space in options.spaces
        for machine in options.machines
    ]
    _run_all([task for task in tasks if not path(task, options.folder).exists()], options.folder, options.jobs)
    runs = {task: msgspec.json.decode(path(task, options.folder).read_bytes(), type=Run) for task in tasks}
    if options.keep is not None:
        kept = list(runs.items())
        options.keep.write_bytes(gzip.compress(msgspec.json.encode(kept), mtime=0))
    return 0 if report(runs, _kept_before(options.before, tasks)) else 1


# ------------------------------------------------------------------------------------------------------- one run


def whole_run(task: Task) -> Run:
    """Search and confirm with a budget of minutes on a simulated clock."""
    replay = load(task.space)
    assert isinstance(replay, Own)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as temporary:
        folder = Path(temporary) / "study"
        dice = random.Random(f"{task.seed}/{task.space}/{task.machine}")
        executor = RecordedExecutor(folder, replay, MACHINES[task.machine], dice)
        workload = msgspec.structs.replace(replay.space.workload, seed=task.seed)
        space = msgspec.structs.replace(replay.space, budget=BUDGETS.get(task.space, BUDGET), workload=workload)
        figures: list[Figure] = []
        with opened(folder, space, "replayed", replay.hardware) as study:
            look = functools.partial(_look, executor, figures)
            searched: list[float] = []
            found, _ = stages.run(
                study,
                _Watched(executor, before=look),
                Observer(),
                MeasureRules(),
                ConfirmRules(),
                claimed=lambda winner: look(),
                searched=lambda outcome: searched.append(executor.now),
                clock=executor.clock,
            )
            look()
    claimed = next((one.seconds for one in figures if one.evidence == "confirmed"), None)
    return Run(
        trials=found.trials,
        searched_s=searched[0],
        claimed_s=claimed,
        ended_s=executor.now,
        figures=tuple(figures),
    )


class _Watched(HookedExecutor):
    """Calls `before` before interleaved runs alone."""

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        return self.executor.execute(spec, rules, incumbent)


def _look(executor: RecordedExecutor, figures: list[Figure]) -> None:
    """Keep what a user would read now."""
    folder = executor.root
    results, confirmation = store.results(folder), store.confirmation(folder)
    replay = executor.replay
    best = best_of_study.best(folder, store.space(folder), replay.hardware, results, confirmation)
    if best is None or best.measured.speedup is None:
        return
    rate, base = executor.truth(best.config), executor.truth(replay.space.baseline)
    assert rate is not None and base is not None
    claim = best.measured.speedup
    figures.append(
        Figure(
            seconds=executor.now,
            evidence=_evidence(best),
            estimate=claim.estimate,
            low=claim.low,
            high=claim.high,
            truth=math.exp(rate - base),
            regret=max(executor.best - rate, 0.0),
        )
    )


def _evidence(best: Best) -> str:
    if best.confirmed:
        return "confirmed"
    return "search" if not getattr(best.measured.speedup, "runs", None) else "interleaved"


# -------------------------------------------------------------------------------------------------------- all runs


def _run_all(tasks: Sequence[Task], folder: Path, jobs: int) -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for count, done in enumerate(pool.map(functools.partial(_kept, folder=folder), tasks, chunksize=1), start=1):
            print(f"\r{count} of {len(tasks)} runs, the last: {done}", end="", file=sys.stderr, flush=True)
    if tasks:
        print(file=sys.stderr)


def _kept(task: Task, folder: Path) -> str:
    os.fsync = lambda descriptor: None  # nothing depends on a replay reaching the disk
    run = whole_run(task)
    file = path(task, folder)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(run))
    return f"{task.space}, {task.machine}, {task.seed}"


def _kept_before(file: Path, tasks: Sequence[Task]) -> Runs:
    """The runs of an earlier state with the same seeds, as far as they were kept."""
    kept = dict(msgspec.json.decode(gzip.decompress(file.read_bytes()), type=list[tuple[Task, Run]]))
    return {task: kept[task] for task in tasks if task in kept}


def path(task: Task, folder: Path) -> Path:
    """The run's file: apart for each state of the code and each table."""
    return folder / state() / f"{task.space}-{digest(task.space)}" / task.machine / f"{task.seed}.json"


@functools.cache
def state() -> str:
    """The state of the code that decides, and of the rules, in eight digits."""
    package = Path(autotune.__file__).parent
    files = sorted(
        file for folder in ("study", "analysis", "core", "report/export") for file in (package / folder).rglob("*.py")
    )
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


if __name__ == "__main__":
    sys.exit(main())
