"""What do the checks of answers and settings add to a trial whose models are prepared? Wanted: at most a second.

Each configuration of resnet50 is tried twice, the first time to prepare what it needs; prints the second one's seconds.

    python benchmarks/checks.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from autotune.core.observer import Observer
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs

WORKLOAD = WorkloadSpec(model="torchvision:resnet50", inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
CONFIGURATIONS: tuple[tuple[str, dict[str, Value], int], ...] = (
    ("torch_eager", {}, 1),
    ("torch_eager", {"memory_format": "channels_last"}, 16),
    ("onnxruntime", {}, 1),
    ("openvino", {"precision": "int8"}, 8),
)
LIMIT_S = 1.0


def main() -> int:
    """Print what the checks of each took; 1 if one took longer than it may."""
    hw, rules = probe.probe(), msgspec.structs.replace(MeasureRules(), measure_s=2.0)
    worst = 0.0
    with (
        tempfile.TemporaryDirectory() as name,
        LocalExecutor(hw, Path(name), artifact_cache.default_folder(), Observer()) as machine,
    ):
        for number, (backend, options, batch) in enumerate(CONFIGURATIONS):
            config = configs.configure(hw, batch_size=batch, backend=backend, options=options)
            for turn in ("cold", "warm"):
                spec = TrialSpec(id=number, workload=WORKLOAD, config=config, folder=f"{number}-{turn}")
                result = machine.execute(spec, rules, None)
                if result.checked_s is None:
                    print(f"{backend}: {result.status}: {result.error}")
                    return 1
            print(f"{backend}, batch {batch}: {result.checked_s:.2f} s", flush=True)
            worst = max(worst, result.checked_s)
    print(f"the longest: {worst / LIMIT_S:.2f} of the {LIMIT_S:.0f} s that it may take")
    return 0 if worst <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
