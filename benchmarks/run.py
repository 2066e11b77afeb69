"""Does production run as fast as was claimed? A plain script under `run` against the launcher's workers, interleaved.

The script loads the same ONNX model by itself, on the threads that the environment tells it, and counts calls; `run`
pins it, preloads the allocator and sets the environment. Both are alive at once and measured in turn, in random order.
Prints the ratio of the rates with its 95 % interval, which must lie within ±3 %.

    python benchmarks/run.py [--layout 2x1] [--allocator tcmalloc] [--model torchvision:resnet18] [--pairs 200]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import within

from autotune.core.best import Best, Claim, Measurements
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch import environment
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor
from autotune.launch.loading import loading
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.report.export import writer
from autotune.space import configs

LIMIT = 0.03
BATCH = 1
START_S = 120
SHAPE = (BATCH, 3, 224, 224)
SCRIPT = f"""
import os, sys, time
import numpy, onnxruntime
model, folder = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(os.environ["OMP_NUM_THREADS"]), 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {{"input_0": numpy.random.default_rng(0).standard_normal({SHAPE}, dtype=numpy.float32)}}
for _ in range(10):
    session.run(None, feed)
rank = os.environ["AUTOTUNE_RANK"]
with open(f"{{folder}}/ask-{{rank}}") as asked, open(f"{{folder}}/tell-{{rank}}", "w") as told:
    for line in asked:
        calls, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < float(line):
            session.run(None, feed)
            calls += 1
        print(calls / (time.perf_counter() - begin), file=told, flush=True)
"""


def best(config: Config, hw: Hardware, workload: WorkloadSpec) -> Best:
    """What a study would export; its figures do not matter here."""
    asked = environment.patch(config, hw)
    once = Estimate(estimate=1.0, low=None, high=None)
    return Best(
        study="benchmark",
        trial=None,
        confirmed=False,
        workload=workload,
        config=config,
        environment=asked.env,
        preload=asked.preload,
        argv_prefix=asked.argv_prefix,
        layout=environment.placements(config, hw),
        measured=Measurements(throughput=once, speedup=Claim(estimate=1.0, low=None, high=None)),
        fidelity=None,
        hardware=hw,
        versions={},
        artifact=None,
    )


class Plain:
    """The script's workers, told over named pipes when to count."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.ask = [(folder / f"ask-{rank}").open("w") for rank in range(workers)]
        self.tell = [(folder / f"tell-{rank}").open() for rank in range(workers)]

    def rate(self, seconds: float) -> float:
        """The sum of their rates (calls/s) over the same seconds."""
        for pipe in self.ask:
            print(seconds, file=pipe, flush=True)
        return sum(float(pipe.readline()) for pipe in self.tell)


@contextlib.contextmanager
def production(folder: Path, found: Best, model: Path) -> Iterator[Plain]:
    """The script as `run` starts it."""
    script, path = folder / "script.py", folder / "best.json"
    script.write_text(SCRIPT)
    writer.write(path, found)
    for rank in range(len(found.layout)):
        os.mkfifo(folder / f"ask-{rank}")
        os.mkfifo(folder / f"tell-{rank}")
    start = [sys.executable, "-m", "autotune", "run", str(path), "--"]
    process = subprocess.Popen([*start, sys.executable, str(script), str(model), str(folder)])
    try:
        signal.alarm(START_S)  # opening a pipe would wait forever for a script that did not start
        plain = Plain(folder, len(found.layout))
        signal.alarm(0)
        yield plain
    finally:
        process.terminate()
        process.wait()


def main() -> int:
    """Alternate a fixed number of times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout")
    parser.add_argument("--allocator")
    parser.add_argument("--model", default="torchvision:resnet18")
    parser.add_argument("--pairs", type=int, default=200)
    chosen = parser.parse_args()
    hw, cache = probe.probe(), artifact_cache.default_folder()
    rules = MeasureRules(disturbed_repeats=0)
    workload = WorkloadSpec(model=chosen.model, inputs=(InputSpec(shape=("batch", *SHAPE[1:])),))
    allocator = chosen.allocator or ("tcmalloc" if "tcmalloc" in hw.libraries else "system")
    knobs = {"layout": chosen.layout or f"{len(hw.cores)}x1", "allocator": allocator}
    config = configs.configure(hw, batch_size=BATCH, backend="onnxruntime", knobs=knobs)
    spec = TrialSpec(id=0, workload=workload, config=config, folder="ours")
    logs = []
    with tempfile.TemporaryDirectory() as name, LocalExecutor(hw, Path(name), cache, Observer()) as machine:
        folder = Path(name) / "ours"
        folder.mkdir()
        with loading(machine.context, spec, rules, folder) as loaded:
            loaded.wait()
            assert loaded.artifact is not None
            model = cache / "artifacts" / loaded.artifact.key / "model.onnx"
            bench = BlockRunner(loaded.workers, BATCH, InterferenceMonitor(loaded.cpus, machine.canary, rules), rules)
            bench.warm()
            with production(Path(name), best(config, hw, workload), model) as plain:
                for _ in range(chosen.pairs):
                    turns = [
                        ("claimed", lambda: bench.block().rate),
                        ("run", lambda: plain.rate(rules.block_s) * BATCH),
                    ]
                    random.shuffle(turns)
                    found = {who: turn() for who, turn in turns}
                    logs.append(math.log(found["run"] / found["claimed"]))
    return within(f"{config.layout}, {allocator}: run / claimed", logs, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
