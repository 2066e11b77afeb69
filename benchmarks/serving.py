"""Does the rate that a study reports last? A study for the largest rate of requests, then a minute of it again.

The confirmation has served the rate for a minute before it reports it; here fresh processes do it once more. Prints the
percentile of the latency that was seen and its ratio to the limit, which must be kept.

    python benchmarks/serving.py [--limit-ms 200] [--minutes 10] [--seconds 60]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from autotune.core.best import Best
from autotune.core.observer import Observer
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.hardware import probe as hardware
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache

SPACE = """\
name: served
workload:
  model: torchvision:resnet18
  inputs: [{{shape: [batch, 3, 224, 224], dtype: float32}}]
  serving: {{latency_p99_ms: {limit_ms:g}}}
objective: served_rate
search:
  batch_size: [1]
  layout: [2x1]
  backend: {{onnxruntime: {{}}}}
budget: {{minutes: {minutes:g}}}
"""


def main() -> int:
    """Find and confirm a rate, then let it last once more; 1 if it does not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit-ms", type=float, default=200.0)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        space = folder / "served.yaml"
        space.write_text(SPACE.format(limit_ms=chosen.limit_ms, minutes=chosen.minutes))
        command = [sys.executable, "-m", "autotune", "--space", str(space), "--studies", name, "--name", "x"]
        if status := subprocess.run(command, check=False).returncode:
            print(f"the study ended with exit status {status}")
            return 1
        best = msgspec.json.decode((folder / "x" / "best.json").read_bytes(), type=Best)
        rate = best.measured.served_rate
        if not best.confirmed or rate is None:
            print("the study confirmed no rate")
            return 1
        with LocalExecutor(hardware.probe(), folder, artifact_cache.default_folder(), Observer()) as machine:
            spec = TrialSpec(id=0, workload=best.workload, config=best.config, folder="again")
            again = machine.sustain(spec, MeasureRules(), rate, chosen.seconds)
    probe = again.probe
    if probe is None:
        print(f"the fresh processes failed: {again.error}")
        return 1
    print(
        f"{probe.seconds:g} s at {probe.rate:.1f}/s: p99 {probe.latency_ms:.1f} ms, "
        f"{probe.latency_ms / chosen.limit_ms:.2f} of the limit; {probe.over} of {probe.requests} requests over it"
    )
    return 0 if probe.kept else 1


if __name__ == "__main__":
    sys.exit(main())
