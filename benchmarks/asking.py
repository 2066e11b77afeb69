"""What does it cost to tell a result and to ask for the next configuration? At 200 and at 2,000 trials, on disk.

A study of made-up results (`large_study.py`) is opened with a database of its own, as a resumed study is, and goes on
with trials that run nothing. Prints the seconds between the end of a trial and the begin of the next one; the median
must be 0.2 s at most at 200 trials, and 1 s at 2,000.

    python benchmarks/asking.py [--more 15]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from large_study import SPACE, Simulated, make

from autotune.core.executor import HookedExecutor
from autotune.core.observer import Observer
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Budget
from autotune.report.text import recorded_machines
from autotune.space.find import find
from autotune.space.load import load
from autotune.study.search import driver
from autotune.study.storage import opening

LIMITS_S = {200: 0.2, 2000: 1.0}
MACHINE = "c7i.xlarge"


def main() -> int:
    """Time both; 1 if one takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--more", type=int, default=15, help="so many trials are timed")
    more = parser.parse_args().more
    over = 0
    for trials, limit_s in LIMITS_S.items():
        with tempfile.TemporaryDirectory() as name:
            found = between(Path(name) / "study", trials, more)
        middle = statistics.median(found)
        over += middle > limit_s
        verdict = "TOO MUCH" if middle > limit_s else "ok"
        print(
            f"{trials:5} trials: {middle:.3f} s (most {max(found):.3f} s)  {verdict}: at most {limit_s:g} s", flush=True
        )
    return int(over > 0)


def between(folder: Path, trials: int, more: int) -> list[float]:
    """The seconds from each of the trials to the next one of a study that has so many."""
    hw, file = recorded_machines.find(MACHINE), find(SPACE)
    make(folder, hw, trials)
    (folder / "confirmation.json").unlink(missing_ok=True)
    simulated = Simulated(folder, hw, seed=1)
    ends: list[float] = []
    gaps: list[float] = []

    def begin() -> None:
        if ends:
            gaps.append(time.monotonic() - ends[-1])

    executor = HookedExecutor(simulated, before=begin, after=lambda: ends.append(time.monotonic()))
    wanted = msgspec.structs.replace(load(file, hw), budget=Budget(trials=trials + more))
    with opening.opened(folder, wanted, file.read_text(), hw) as study:
        driver.search(study, executor, Observer(), MeasureRules())
    return gaps


if __name__ == "__main__":
    sys.exit(main())
