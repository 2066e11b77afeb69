"""Is the rate of several workers that of several programs? Pinned workers over common windows against bare processes.

Both are alive at once and run in turn, in random order: the launcher's workers, and as many plain Python processes,
each pinned to the same CPUs, that load the same ONNX model and count calls. Prints the ratio of the summed rates with
its 95 % interval, which must lie within ±3 %.

    python benchmarks/workers.py [--layout 2x1] [--model torchvision:resnet18] [--pairs 200]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from common import within

from autotune.core.config import Config
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
from autotune.space import configs

LIMIT = 0.03
SHAPE = (3, 224, 224)
BARE = """
import os, sys, time
os.sched_setaffinity(0, {cpus})
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = {threads}, 1
session = onnxruntime.InferenceSession({model!r}, options, providers=["CPUExecutionProvider"])
feed = {{"input_0": numpy.random.default_rng(0).standard_normal({shape}, dtype=numpy.float32)}}
for _ in range(10):
    session.run(None, feed)
print("ready", flush=True)
for line in sys.stdin:
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < float(line):
        session.run(None, feed)
        calls += 1
    print(calls / (time.perf_counter() - begin), flush=True)
"""


class Bare:
    """Plain processes that count calls when they are told to."""

    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self.processes = processes
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"

    def rate(self, seconds: float) -> float:
        """The sum of their rates (calls/s) over the same seconds."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return sum(float(process.stdout.readline()) for process in self.processes if process.stdout)


@contextlib.contextmanager
def bare(config: Config, hw: Hardware, model: Path) -> Iterator[Bare]:
    """As many processes as the configuration has workers, on the same CPUs."""
    with contextlib.ExitStack() as stack:
        processes = []
        for place in environment.placements(config, hw):
            script = BARE.format(cpus=place.cpus, threads=place.threads, model=str(model), shape=(1, *SHAPE))
            argv = [sys.executable, "-c", script]
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        yield Bare(processes)


def main() -> int:
    """Alternate a fixed number of times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layout")
    parser.add_argument("--model", default="torchvision:resnet18")
    parser.add_argument("--pairs", type=int, default=200)
    chosen = parser.parse_args()
    hw, cache = probe.probe(), artifact_cache.default_folder()
    rules = MeasureRules(disturbed_repeats=0)
    workload = WorkloadSpec(model=chosen.model, inputs=(InputSpec(shape=("batch", *SHAPE)),))
    knobs = {"layout": chosen.layout or f"{len(hw.cores)}x1"}
    config = configs.configure(hw, batch_size=1, backend="onnxruntime", knobs=knobs)
    spec = TrialSpec(id=0, workload=workload, config=config, folder="ours")
    logs = []
    with tempfile.TemporaryDirectory() as name, LocalExecutor(hw, Path(name), cache, Observer()) as machine:
        folder = Path(name) / "ours"
        folder.mkdir()
        with loading(machine.context, spec, rules, folder) as loaded:
            loaded.wait()
            assert loaded.artifact is not None
            model = cache / "artifacts" / loaded.artifact.key / "model.onnx"
            bench = BlockRunner(loaded.workers, 1, InterferenceMonitor(loaded.cpus, machine.canary, rules), rules)
            bench.warm()
            with bare(config, hw, model) as plain:
                for _ in range(chosen.pairs):
                    turns = [("ours", lambda: bench.block().rate), ("bare", lambda: plain.rate(rules.block_s))]
                    random.shuffle(turns)
                    found = {who: turn() for who, turn in turns}
                    logs.append(math.log(found["ours"] / found["bare"]))
    return within(f"{config.layout}: workers / bare processes", logs, LIMIT)


if __name__ == "__main__":
    sys.exit(main())
