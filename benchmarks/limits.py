"""Does a winner keep its latency limit? A study whose limit lies between the latencies of batch 8 and 16.

The winner must have a batch of 8 or less, and its p99, measured again in fresh processes for half a minute, must be
under the limit: prints their ratio.

    python benchmarks/limits.py [--minutes 6]
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.observer import Observer
from autotune.core.results import Latency, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs

WORKLOAD = WorkloadSpec(model="torchvision:resnet50", inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
SPACE = """\
name: limited
workload:
  model: torchvision:resnet50
  inputs: [{{shape: [batch, 3, 224, 224], dtype: float32}}]
constraints: {{latency_p99_ms: {{max: {limit_ms:.2f}}}}}
search:
  batch_size: [1, 8, 16]
  workers: [1]
  allocator: [system, tcmalloc]
  backend:
    torch_eager: {{memory_format: channels_last}}
    openvino: {{precision: int8}}
budget: {{minutes: {minutes}}}
"""
AGAIN_S = 30.0


def main() -> int:
    """Set the limit, search, measure again; 1 if the winner does not keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0)
    chosen = parser.parse_args()
    hw = probe.probe()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = {
            batch: configs.configure(hw, batch_size=batch, backend="openvino", options={"precision": "int8"})
            for batch in (8, 16)
        }
        with LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()) as machine:
            medians = [calls(machine, config, f"batch-{batch}").p50_ms for batch, config in plain.items()]
        limit_ms = math.sqrt(medians[0] * medians[1])
        print(
            f"p50 of batch 8 {medians[0]:.1f} ms, of batch 16 {medians[1]:.1f} ms; limit {limit_ms:.1f} ms", flush=True
        )
        (folder / "limited.yaml").write_text(SPACE.format(limit_ms=limit_ms, minutes=chosen.minutes))
        command = [
            sys.executable,
            "-m",
            "autotune",
            "--space",
            f"{folder}/limited.yaml",
            "--studies",
            name,
            "--name",
            "x",
        ]
        status = subprocess.run(command, check=False).returncode
        if status:
            print(f"the study ended with exit status {status}")
            return 1
        best = msgspec.json.decode((folder / "x" / "best.json").read_bytes(), type=Best)
        with LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()) as machine:
            again = calls(machine, best.config, "again", AGAIN_S)
    batch = best.config.workload.batch_size
    print(
        f"winner: {best.config.backend}, batch {batch}; p99 {again.p99_ms:.1f} ms over {again.calls} calls "
        f"(backed up to {again.backed}), {again.p99_ms / limit_ms:.2f} of the limit"
    )
    return 0 if batch <= 8 and again.p99_ms <= limit_ms else 1


def calls(machine: LocalExecutor, config: Config, folder: str, seconds: float = 6.0) -> Latency:
    """The latencies of a trial that is measured for so long."""
    rules = msgspec.structs.replace(MeasureRules(), measure_s=seconds, half_width=0.0)
    result: TrialResult = machine.execute(TrialSpec(id=0, workload=WORKLOAD, config=config, folder=folder), rules, None)
    if result.latency is None:
        raise SystemExit(f"{folder}: {result.status}: {result.error}")
    return result.latency


if __name__ == "__main__":
    sys.exit(main())
