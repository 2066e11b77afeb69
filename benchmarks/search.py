"""How soon does a search find a good configuration? Searches replayed on spaces that were measured whole.

Each competitor (`competitors.py`) searches each space (`replay.py`) once with every seed, after the baseline alone and
after the recipes. Prints the regret after some trials, the simulated time to within 5 % of the best, and the ratios of
autotune's to the others'. Each run is kept in the folder as it ends: the same command goes on where it stopped, more
seeds add to what is there. Runs on another table do not count, nor do those of autotune's search as it was before.

    python benchmarks/search.py --folder FOLDER [--seeds 50] [--jobs 2] [--spaces NAME ...] [--only NAME ...]
                                [--write docs/search.md]

SMAC3 is needed beside autotune: pip install smac, or leave it out with --only.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import hashlib
import importlib.util
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from competitors import COMPETITORS, OURS, Searcher, searcher
from curves import drawn
from regret import SEEDS, TRIALS, Run, Runs, judged, page
from replay import Replay, digest, key, load, names

from autotune.core.files import write_atomically
from autotune.core.struct import Struct
from autotune.study.model import gaussian_process, points
from autotune.study.search import failure_model, surrogate

FIRST_SEED = 1000
"""Smaller ones were used while autotune's search was made."""

BEGIN, END = "<!-- results of benchmarks/search.py -->", "<!-- end of the results -->"


class Task(Struct):
    """One search: with `recipes` they come before it, else the baseline alone."""

    space: str
    recipes: bool
    competitor: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Where its run is kept."""
        variant = "recipes" if self.recipes else "plain"
        name = f"{self.competitor}-{ours()}" if self.competitor == OURS else self.competitor
        return folder / f"{self.space}-{digest(self.space)}" / variant / name / f"{self.seed}.json"


def main() -> int:
    """Run what is missing, then say what all runs show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the runs are kept")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--spaces", nargs="+", choices=names(), default=names(), metavar="SPACE")
    parser.add_argument("--only", nargs="+", choices=list(COMPETITORS), default=list(COMPETITORS), metavar="COMPETITOR")
    parser.add_argument("--write", type=Path, help="the page whose results are replaced; the plot is drawn beside it")
    options = parser.parse_args()
    if "smac" in options.only and importlib.util.find_spec("smac") is None:
        others = " ".join(name for name in COMPETITORS if name != "smac")
        parser.error(f"SMAC3 is not installed; run `pip install smac`, or leave it out: --only {others}")
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started now
    tasks = list(planned(options.spaces, options.only, options.seeds))
    run_all([task for task in tasks if not task.path(options.folder).exists()], options.folder, options.jobs)
    runs = kept(tasks, options.folder)
    text = page(runs, {name: loaded(name) for name in options.spaces})
    print(text)
    if options.write is not None:
        write(options.write, text, drawn(runs))
    return 0 if judged(runs) else 1


def planned(spaces: Sequence[str], competitors: Sequence[str], seeds: int) -> Iterator[Task]:
    """All searches, seed by seed, so that a run that is stopped has as many of each; recipes where there are any."""
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for space in spaces:
            for recipes in (False, True) if len(loaded(space).first) > 1 else (False,):
                for competitor in competitors:
                    yield Task(space=space, recipes=recipes, competitor=competitor, seed=seed)


def run_all(tasks: Sequence[Task], folder: Path, jobs: int) -> None:
    """Run the tasks, some at a time, and say how far they are after each seed."""
    begin = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        done = pool.map(functools.partial(keep, folder=folder), tasks)
        for count, (task, _) in enumerate(zip(tasks, done, strict=True), 1):
            if count == len(tasks) or tasks[count].seed != task.seed:
                print(
                    f"seed {task.seed}: {count} of {len(tasks)} searches, {time.monotonic() - begin:.0f} s", flush=True
                )


def keep(task: Task, folder: Path) -> None:
    """Run a task and keep its run."""
    replay = loaded(task.space)
    first = replay.first if task.recipes else replay.first[:1]
    with searcher(task.competitor, replay, first, task.seed, TRIALS[-1]) as found:
        run = play(replay, found, random.Random(task.seed), TRIALS[-1])
    path = task.path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, msgspec.json.encode(run))


def play(replay: Replay, found: Searcher, dice: random.Random, trials: int) -> Run:
    """A search of so many trials, or fewer if it ends by itself."""
    made: set[str] = set()
    best = max(replay.truths.values())
    incumbent, regret, clock = None, None, 0.0
    seconds: list[float] = []
    regrets: list[float | None] = []
    while len(seconds) < trials and (point := found.ask()) is not None:
        outcome = replay.trial(point, incumbent, dice, made)
        found.tell(outcome)
        clock += outcome.seconds
        if outcome.complete and outcome.rate is not None and (incumbent is None or outcome.rate > incumbent):
            incumbent, regret = outcome.rate, best - replay.truths[key(point)]
        seconds.append(round(clock, 3))
        regrets.append(regret)
    return Run(seconds=tuple(seconds), regrets=tuple(regrets))


def kept(tasks: Sequence[Task], folder: Path) -> Runs:
    """All runs of these tasks that are there."""
    runs: Runs = {}
    for task in tasks:
        if task.path(folder).exists():
            found = runs.setdefault((task.space, task.recipes), {}).setdefault(task.competitor, {})
            found[task.seed] = msgspec.json.decode(task.path(folder).read_bytes(), type=Run)
    return runs


@functools.cache
def ours() -> str:
    """Which state of autotune's own search it is, in eight digits."""
    files = (Path(module.__file__ or "") for module in (failure_model, gaussian_process, points, surrogate))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


@functools.cache
def loaded(name: str) -> Replay:
    """A space, read once in each process."""
    return load(name)


def write(path: Path, text: str, plot: str) -> None:
    """Replace what stands between the page's marks, and draw the plot beside it."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} lacks the line {BEGIN} or {END}; add both where the results belong")
    drawing = path.with_suffix(".svg")
    write_atomically(drawing, plot.encode())
    shown = f"![Median regret against simulated time]({drawing.name})"
    write_atomically(path, f"{before}{BEGIN}\n\n{shown}\n\n{text}\n\n{END}{after}".encode())


if __name__ == "__main__":
    sys.exit(main())
