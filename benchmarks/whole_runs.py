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
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from recorded_executor import MACHINES, RecordedExecutor
from replay import Own, digest, load, names, recorded

import autotune
from autotune.core.best import Best
from autotune.core.executor import HookedExecutor
from autotune.core.observer import Observer
from autotune.core.results import TrialResult
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Budget
from autotune.core.specs import TrialSpec
from autotune.core.struct import Struct
from autotune.report.export import best_of_study
from autotune.study import stages
from autotune.study.storage import store
from autotune.study.storage.opening import opened

BUDGET = Budget(trials=28, minutes=10.5)
"""That of `search_spaces/resnet50.yaml`."""

BEFORE = Path(__file__).parent / "whole_runs_before.json.gz"
"""The runs of 2026-11-30, before a search with a budget could end early; 50 seeds."""

FIRST_SEED = 5000
SEEDS = 50
NEAR = 0.03


class Figure(Struct):
    """The speed-up that a user reads at a time (s), with the evidence behind it; `truth` is that of the recording.

    `regret` is how far the configuration lies below the best one, as a difference of log rates.
    """

    seconds: float
    evidence: str
    estimate: float
    low: float | None
    high: float | None
    truth: float
    regret: float

    @property
    def holds(self) -> bool:
        """True if the interval holds the truth; one without an interval does not."""
        return self.low is not None and self.high is not None and self.low <= self.truth <= self.high


class Run(Struct):
    """A whole run: when its search ended (s) after how many trials, when a claim stood, and all that was to be read."""

    trials: int
    searched_s: float
    claimed_s: float | None
    ended_s: float
    figures: tuple[Figure, ...]

    @property
    def last(self) -> Figure:
        """The exported configuration's."""
        return self.figures[-1]


class Task(Struct):
    """One run."""

    space: str
    machine: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Its file: apart for each state of the code and each table."""
        return folder / state() / f"{self.space}-{digest(self.space)}" / self.machine / f"{self.seed}.json"


Runs = dict[Task, Run]


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
    _run_all([task for task in tasks if not task.path(options.folder).exists()], options.folder, options.jobs)
    runs = {task: msgspec.json.decode(task.path(options.folder).read_bytes(), type=Run) for task in tasks}
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
        space = msgspec.structs.replace(replay.space, budget=BUDGET, workload=workload)
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
    path = task.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(run))
    return f"{task.space}, {task.machine}, {task.seed}"


def _kept_before(path: Path, tasks: Sequence[Task]) -> Runs:
    """The runs of an earlier state with the same seeds, as far as they were kept."""
    kept = dict(msgspec.json.decode(gzip.decompress(path.read_bytes()), type=list[tuple[Task, Run]]))
    return {task: kept[task] for task in tasks if task in kept}


@functools.cache
def state() -> str:
    """The state of the code that decides, and of the rules, in eight digits."""
    package = Path(autotune.__file__).parent
    files = sorted(
        path for folder in ("study", "analysis", "core", "report/export") for path in (package / folder).rglob("*.py")
    )
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


# --------------------------------------------------------------------------------------------------------- report


def report(runs: Runs, before: Runs) -> bool:
    """Print all tables; true if what must hold does."""
    for kind in dict.fromkeys((task.space, task.machine) for task in runs):
        print(f"{', '.join(kind)}: {_described(_of(runs, kind))}")
        if earlier := _of(before, kind):
            print(f"  before: {_described(earlier)}")
    passed = list(_verdicts(list(runs.values())))
    if before:
        passed.append(_sooner([runs[task] for task in before], list(before.values())))
    for good, text in passed:
        print(f"{'passed' if good else 'NOT PASSED'}: {text}")
    return all(good for good, _ in passed)


def _of(runs: Runs, kind: tuple[str, str]) -> list[Run]:
    return [run for task, run in runs.items() if (task.space, task.machine) == kind]


def _described(runs: Sequence[Run]) -> str:
    regrets = np.array([run.last.regret for run in runs])
    return (
        f"confirmed {np.mean([run.claimed_s is not None for run in runs]):.1%}, "
        f"claim after {_claimed(runs):.0f} s (search {np.median([run.searched_s for run in runs]):.0f} s, "
        f"{np.median([run.trials for run in runs]):.0f} trials; all {np.median([run.ended_s for run in runs]):.0f} s), "
        f"regret median {np.median(regrets):.1%}, within {NEAR:.0%} {np.mean(regrets <= -math.log(1 - NEAR)):.0%}"
    )


def _claimed(runs: Sequence[Run]) -> float:
    """The median time to a claim; a run without one counts as its end at the earliest."""
    return float(np.median([run.ended_s if run.claimed_s is None else run.claimed_s for run in runs]))


def _verdicts(runs: Sequence[Run]) -> Iterator[tuple[bool, str]]:
    confirmed = np.mean([run.claimed_s is not None for run in runs])
    yield confirmed >= 0.98, f"{confirmed:.1%} of {len(runs)} runs end confirmed; wanted 98 %"
    near = np.mean([run.last.regret <= -math.log(1 - NEAR) for run in runs])
    yield near >= 0.9, f"what is exported is within {NEAR:.0%} of the best in {near:.1%}; wanted 90 %"
    figures = [figure for run in runs for figure in run.figures]
    for evidence in ("search", "interleaved", "confirmed"):
        found = [figure for figure in figures if figure.evidence == evidence]
        if not found:
            continue
        holds = np.mean([figure.holds for figure in found])
        error = np.mean([figure.estimate / figure.truth - 1 for figure in found])
        size = np.mean([abs(figure.estimate / figure.truth - 1) for figure in found])
        width = np.median([figure.high / figure.low - 1 for figure in found if figure.low and figure.high])
        text = f"{evidence}: the interval holds the truth in {holds:.1%} of {len(found)}; wanted 90 %"
        yield bool(holds >= 0.9), f"{text}; error {error:+.1%}, in size {size:.1%}; width {width:.1%}"
    last = np.mean([run.last.holds for run in runs])
    yield bool(last >= 0.9), f"what a run ends with holds the truth in {last:.1%}; wanted 90 %"
    unconfirmed = [run.figures[0] for run in runs]
    error = float(np.mean([figure.estimate / figure.truth - 1 for figure in unconfirmed]))
    yield abs(error) <= 0.03, f"the headline before a confirmation is off by {error:+.1%} in the mean; wanted 3 %"


def _sooner(runs: Sequence[Run], before: Sequence[Run]) -> tuple[bool, str]:
    ratio, low, high = _ratio(runs, before)
    text = f"the median time to a claim over that before: {ratio:.2f} ({low:.2f} to {high:.2f}); wanted ≤ 0.50"
    return ratio <= 0.5, text


def _ratio(runs: Sequence[Run], before: Sequence[Run]) -> tuple[float, float, float]:
    """The ratio of the median times to a claim with its 95 % bootstrap interval; runs are paired by seed."""
    ours, theirs = (
        np.array([run.ended_s if run.claimed_s is None else run.claimed_s for run in found]) for found in (runs, before)
    )
    draws = np.random.default_rng(0).integers(0, len(ours), (4000, len(ours)))
    ratios = np.median(ours[draws], axis=1) / np.median(theirs[draws], axis=1)
    return float(np.median(ours) / np.median(theirs)), *map(float, np.quantile(ratios, (0.025, 0.975)))


if __name__ == "__main__":
    sys.exit(main())
