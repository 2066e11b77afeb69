"""What int8 gives on ResNet50: torchao's and OpenVINO's against eager channels_last float32, all alive and interleaved.

Prints both ratios with their intervals over six runs; wanted: at least 3 and 4. Batch 8, one worker on all cores.

    python benchmarks/int8.py [--model torchvision:resnet50]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from autotune.core.observer import Observer
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs
from autotune.study.confirm import outcomes, paired_comparison, scores
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import UntilComplete

WANTED = {"torch_int8": 3.0, "openvino": 4.0}
SECONDS = 600.0


def main() -> int:
    """1 if a ratio is not reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="torchvision:resnet50")
    chosen = parser.parse_args()
    hw, rules = probe.probe(), ConfirmRules()
    last = {"memory_format": "channels_last"}
    compared = {
        "torch_eager": configs.configure(hw, batch_size=8, backend="torch_eager", options=last),
        "torch_int8": configs.configure(
            hw, batch_size=8, backend="torch_int8", options=last, knobs={"allocator": "tcmalloc"}
        ),
        "openvino": configs.configure(hw, batch_size=8, backend="openvino", options={"precision": "int8"}),
    }

    workload = WorkloadSpec(model=chosen.model, inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()) as machine:
            wanted = PairedComparison("int8", folder, hw, workload, compared, MeasureRules(), rules)
            runs = paired_comparison.compare(wanted, machine, UntilComplete(compared, rules), SECONDS, SECONDS, True)
        for backend in compared:
            if error := outcomes.failure(runs, backend):
                print(f"{backend}: {error}")
        rates = scores.table(runs, list(compared), rules.confidence)
    passed = True
    for name, least in WANTED.items():
        ratio = rates.ratio(name, "torch_eager")
        if ratio is None or ratio.low is None or ratio.high is None:
            print(f"{name}: no figure")
            passed = False
            continue
        print(
            f"{name} int8 over torch_eager channels_last: {ratio.estimate:.2f} ({ratio.low:.2f} to {ratio.high:.2f}); "
            f"wanted >= {least:g}"
        )
        passed = passed and ratio.estimate >= least
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
