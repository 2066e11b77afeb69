"""What does the check of a model cost? Its seconds beside those of all else that making reference outputs takes.

One child builds the plain model, checks it and makes the reference, as before the first trial of a study. Prints the
seconds of the check, those of its CPUs, and of the whole; the check must take at most 3 s.

    python benchmarks/model_check.py [--model torchvision:resnet50] [--size 224] [--runs 3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from autotune.core.rules import MeasureRules
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe

LIMIT_S = 3.0


def child(model: str, size: int) -> None:
    """Make reference outputs once; the seconds of the check, of its own process's CPUs meanwhile, and of the whole."""
    from autotune.models.workload import BuiltWorkload
    from autotune.worker import prepare

    check = prepare.model_check.checked
    took: list[float] = []

    def timed(*given: Any) -> Any:
        begin, cpu = time.monotonic(), time.process_time()
        found = check(*given)
        took.extend((time.monotonic() - begin, time.process_time() - cpu))
        return found

    prepare.model_check.checked = timed
    spec = WorkloadSpec(model=model, inputs=(InputSpec(shape=("batch", 3, size, size)),))
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        prepare.save_reference(BuiltWorkload(spec), probe.probe(), MeasureRules(), Path(folder))
    print(*took, time.monotonic() - begin)


def main() -> int:
    """Run the children one after the other and judge the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="torchvision:resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.model, given.size)
        return 0
    seconds = []
    for _ in range(given.runs):
        argv = [sys.executable, __file__, "--child", "--model", given.model, "--size", str(given.size)]
        line = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        check_s, cpu_s, whole_s = map(float, line.split())
        print(f"check {check_s:.2f} s ({cpu_s:.2f} CPU s) of {whole_s:.2f} s: {check_s / whole_s:.0%}", flush=True)
        seconds.append(check_s)
    median_s = statistics.median(seconds)
    passed = median_s <= LIMIT_S
    print(f"{given.model}: median {median_s:.2f} s, at most {LIMIT_S:g} s: {'yes' if passed else 'no'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
