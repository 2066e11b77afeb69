"""Can a large study be looked at? `show`, `compare` and `report` of 5,000 made-up trials: seconds and peak memory.

Two studies (a Xeon's and a Graviton's) are made by `large_study.py`. Exit status 1 over the limits.

    python benchmarks/review.py [--trials 5000] [--runs 3]
    python benchmarks/review.py --make FOLDER [--machine c7i.xlarge]     only makes such a study
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from large_study import SPACE, make

from autotune.report.text import recorded_machines

MACHINES = ("c7i.xlarge", "c8g.xlarge")
PRICES = "currency: USD\nper_hour: {c7i.xlarge: 0.1785, c8g.xlarge: 0.15952}\n"
LIMITS_S = {"show": 5.0, "compare": 5.0, "report": 10.0}
LIMIT_MIB = 500


def main() -> int:
    """Make the studies, run the commands on them; 1 if one takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--make", type=Path)
    parser.add_argument("--machine", choices=MACHINES, default=MACHINES[0])
    chosen = parser.parse_args()
    if chosen.make is not None:
        make(chosen.make, recorded_machines.find(chosen.machine), chosen.trials)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = [folder / f"{SPACE}@{machine}" for machine in MACHINES]
        for study, machine in zip(studies, MACHINES, strict=True):
            # In a process of its own: what a command is charged with includes the peak of the one that starts it.
            trials = ["--trials", str(chosen.trials), "--machine", machine]
            subprocess.run([sys.executable, __file__, "--make", study, *trials], check=True)
        (folder / "prices.yaml").write_text(PRICES)
        commands = {
            "show": ["show", studies[0]],
            "compare": ["compare", *studies, "--prices", folder / "prices.yaml"],
            "report": ["report", studies[0], "-o", folder / "report.html"],
        }
        return max(cost(what, command, chosen.runs) for what, command in commands.items())


def cost(what: str, command: list[str | Path], runs: int) -> int:
    """Print what a command takes at most in some runs; 1 if that is too much, or it fails."""
    seconds, busy, mebibytes = 0.0, 0.0, 0.0
    for _ in range(runs):
        begin = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "autotune", *command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            print(f"{what:8} failed with exit status {process.returncode}")
            return 1
        seconds = max(seconds, time.monotonic() - begin)
        busy = max(busy, usage.ru_utime + usage.ru_stime)
        mebibytes = max(mebibytes, usage.ru_maxrss / 1024)
    over = seconds > LIMITS_S[what] or mebibytes > LIMIT_MIB
    allowed = f"at most {LIMITS_S[what]:g} s and {LIMIT_MIB} MiB"
    spent = f"{seconds:5.2f} s ({busy:.2f} s of CPU) {mebibytes:5.0f} MiB"
    print(f"{what:8} {spent}  {'TOO MUCH' if over else 'ok'}: {allowed}", flush=True)
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
