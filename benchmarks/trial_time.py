"""What a trial costs beside measuring, with the artifact cached, against the limits we set ourselves.

For each backend the median of several trials: wall time before the first block starts and after the last one stops.
What lies between blocks (a call that straddles an edge, the coordinator) is printed beside it. From onnxruntime and
openvino the runtime's own loading is taken off, timed in a bare process that does what a user's script would: start
Python, import the runtime, load the same file, run once. Prints the ratio to the limit; at most 1 passes.

    python benchmarks/trial_time.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from autotune.core.observer import Observer
from autotune.core.results import TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs

LIMITS_S = {"onnxruntime": 1.5, "openvino": 1.5, "torch_eager": 5.0}
ALONE = {
    "onnxruntime": """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
session.run(None, {session.get_inputs()[0].name: numpy.zeros((8, 3, 224, 224), numpy.float32)})
""",
    "openvino": """
import sys, numpy, openvino
model = openvino.Core().compile_model(sys.argv[1] + "/model.xml", "CPU")
model([numpy.zeros((8, 3, 224, 224), numpy.float32)])
""",
}


def main() -> int:
    """Time each backend; 1 if one is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    hw, rules, cache = probe.probe(), MeasureRules(), artifact_cache.default_folder()
    workload = WorkloadSpec(model="torchvision:resnet50", inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
    passed = True
    with tempfile.TemporaryDirectory() as name, LocalExecutor(hw, Path(name), cache, Observer()) as machine:
        for backend, limit_s in LIMITS_S.items():
            config = configs.configure(hw, batch_size=8, backend=backend)
            spec = TrialSpec(id=0, workload=workload, config=config, folder=backend)
            result = machine.execute(spec, rules, None)
            beside, between, alone = [], [], []
            for _ in range(repeats):
                result = machine.execute(spec, rules, None)
                beside.append(outside_s(result))
                between.append(between_share(result))
                if backend in ALONE and result.artifact is not None:
                    alone.append(alone_s(backend, cache / "artifacts" / result.artifact.key))
            own_s = statistics.median(alone) if alone else 0.0
            cost_s = statistics.median(beside) - own_s
            ratio = cost_s / limit_s
            passed &= ratio <= 1
            loading = f" beyond the runtime's own {own_s:.2f} s" if alone else ""
            edges = f"{statistics.median(between):.0%} of measuring is between blocks"
            print(f"{backend}: {cost_s:.2f} s{loading}; limit {limit_s} s; ratio {ratio:.2f}; {edges}")
        config = configs.configure(hw, batch_size=8, backend="torch_compile", options={"freezing": True})
        result = machine.execute(TrialSpec(id=0, workload=workload, config=config, folder="compile"), rules, None)
    print(f"torch_compile, apart: set-up {result.setup_s or 0:.1f} s, its first call {result.first_call_s or 0:.1f} s")
    return 0 if passed else 1


def outside_s(result: TrialResult) -> float:
    """Seconds of a trial before its first block and after its last one."""
    return result.wall_s - span_s(result)


def span_s(result: TrialResult) -> float:
    """Seconds from the start of the first block to the stop of the last one."""
    assert result.blocks, result.error
    first, last = (*result.warmup, *result.blocks)[0], result.blocks[-1]
    return (last.start_ns + last.elapsed_ns - first.start_ns) / 1e9


def between_share(result: TrialResult) -> float:
    """The share of that span in which nothing is counted."""
    return 1 - sum(block.elapsed_ns for block in (*result.warmup, *result.blocks)) / 1e9 / span_s(result)


def alone_s(backend: str, artifact: Path) -> float:
    """Seconds from starting Python to the first answer, without us."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", ALONE[backend], str(artifact)], check=True)
    return time.monotonic() - begin


if __name__ == "__main__":
    sys.exit(main())
