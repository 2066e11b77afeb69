"""The main job as a user runs it, first with an empty cache, then with a warm one, each as a new study.

Prints minutes against the limits (12 and 8), the speed-up over the baseline
against 6, when the first good result stood (half of the final speed-up) against two minutes, the coordinator's peak
memory against 200 MiB and the time of `--help` against 0.3 s. The speed-up limit is meant for 2 cores with AVX512_VNNI
and no AMX.

    python benchmarks/main_job.py [--space resnet50.yaml] [--keep DIR] [--runs cold,warm]
"""

from __future__ import annotations

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil

from autotune.core.best import Best
from autotune.core.results import TrialResult
from autotune.core.space_types import Goal
from autotune.study.ranking import Ranking
from autotune.study.storage import store

LIMITS_MIN = {"cold": 12.0, "warm": 8.0}
"""With an empty cache of prepared models, and with a warm one; the confirmation included."""

SPEEDUP, FIRST_GOOD_S, PEAK_MIB, HELP_S = 6.0, 120.0, 200.0, 0.3


def main() -> int:
    """Run and print; 1 if something is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="resnet50.yaml")
    parser.add_argument("--keep", type=Path, help="where the studies and the cache stay afterwards")
    parser.add_argument("--runs", default="cold,warm")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = (chosen.keep or Path(name)).absolute()
        passed = [run(which, chosen.space, folder) for which in chosen.runs.split(",")]
    help_s = statistics.median(timed_help() for _ in range(7))
    print(f"--help: {help_s:.2f} s; limit {HELP_S} s; ratio {help_s / HELP_S:.2f}")
    return 0 if all(passed) and help_s <= HELP_S else 1


def run(which: str, space: str, folder: Path) -> bool:
    """One study from start to end, watched from outside."""
    studies = folder / f"{which}-studies"  # of its own: a study begins with what others beside it found
    command = [sys.executable, "-m", "autotune", "--space", space, "--name", which, "--studies", str(studies)]
    begin, at = time.monotonic(), time.time()
    process = subprocess.Popen(command, env={**os.environ, "AUTOTUNE_CACHE": str(folder / "cache")})
    peak = 0
    while process.poll() is None:
        peak = max(peak, rss(process.pid))
        time.sleep(1)
    minutes = (time.monotonic() - begin) / 60
    found = msgspec.json.decode((studies / which / "best.json").read_bytes(), type=Best)
    speedup = found.measured.speedup.estimate
    first_s = first_good_s(store.results(studies / which), ranking_rate(found) / 2, at)
    limit = LIMITS_MIN[which]
    print(f"{which}: {minutes:.1f} minutes; limit {limit}; ratio {minutes / limit:.2f}")
    print(f"{which}: speed-up {speedup:.2f}; wanted {SPEEDUP}; ratio {speedup / SPEEDUP:.2f}")
    print(f"{which}: first good result {first_s:.0f} s; limit {FIRST_GOOD_S:.0f}; ratio {first_s / FIRST_GOOD_S:.2f}")
    print(f"{which}: coordinator {peak / 2**20:.0f} MiB; limit {PEAK_MIB:.0f}; ratio {peak / 2**20 / PEAK_MIB:.2f}")
    return minutes <= limit and speedup >= SPEEDUP and first_s <= FIRST_GOOD_S and peak <= PEAK_MIB * 2**20


def ranking_rate(found: Best) -> float:
    """The winner's rate."""
    return found.measured.throughput.estimate


def first_good_s(results: list[TrialResult], rate: float, at: float) -> float:
    """Seconds from the start until a trial with this rate had ended."""
    ranking = Ranking(results, Goal())
    ends = [
        datetime.datetime.fromisoformat(result.started).timestamp() + result.wall_s - at
        for result in results
        if result.blocks and ranking.rate(result) >= rate
    ]
    return min(ends)


def rss(pid: int) -> int:
    """Resident bytes of a process; 0 once it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def timed_help() -> float:
    """Seconds of `--help`."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "autotune", "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


if __name__ == "__main__":
    sys.exit(main())
