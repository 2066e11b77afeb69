"""Does a block's rate tell the truth? The launcher's figure against a bare loop over the same session, interleaved.

One child holds one session. It answers the coordinator's blocks through the launcher's own code and, between two
blocks, times a bare `for` loop over the same session. Prints the ratio with its 95 % interval; must lie within ±2 %.

    python benchmarks/overhead.py [--backend onnxruntime] [--model torchvision:squeezenet1_1] [--pairs 500]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from common import within

from autotune.core.observer import Observer
from autotune.core.protocol import Finish, Measure
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch import launch_plan, worker_pool
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs

LIMIT = 0.02


def worker() -> None:
    """The child: the launcher's own worker, whose `measure` is followed by a bare loop."""
    from autotune.worker import __main__ as child
    from autotune.worker import loop

    bare: list[float] = []
    ours = loop.measure

    def both(session: Any, batch: Any, size: int, command: Measure) -> Any:
        answer = ours(session, batch, size, command)
        calls = max(1, round(answer[0].calls))
        begin = time.perf_counter()
        for _ in range(calls):
            session(batch)
        bare.append(calls * size / (time.perf_counter() - begin))
        Path("bare.json").write_text(json.dumps(bare))
        return answer

    loop.measure = both
    child.main()


def main() -> int:
    """Alternate a fixed number of times, so that the interval is what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--model", default="torchvision:squeezenet1_1")
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--block-s", type=float, default=0.2, help="short blocks keep a pair close in time")
    chosen = parser.parse_args()

    hw, cache = probe.probe(), artifact_cache.default_folder()
    rules = MeasureRules(block_s=chosen.block_s, disturbed_repeats=0)
    workload = WorkloadSpec(model=chosen.model, inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
    config = configs.configure(hw, batch_size=1, backend=chosen.backend)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LocalExecutor(hw, folder, cache, Observer()) as machine:
            machine.execute(TrialSpec(id=0, workload=workload, config=config, folder="prepared"), rules, None)
            launched = launch_plan.measuring(config, hw, os.environ, cache)
            own = [msgspec.structs.replace(w, argv=(sys.executable, __file__, "--worker")) for w in launched.workers]
            job = folder / "prepared" / "job.json"
            with worker_pool.start(launch_plan.LaunchPlan(workers=tuple(own)), job, folder, 2**40) as workers:
                workers.gather(rules.setup_timeout_s, "loading")
                monitor = InterferenceMonitor(launched.workers[0].placement.cpus, machine.canary, rules)
                bench = BlockRunner(workers, 1, monitor, rules)
                blocks = [bench.block() for _ in range(chosen.pairs)]
                workers.send(Finish())
                workers.gather(rules.block_timeout_s, "finishing")
        # each block is held against the bare loop right after it
        logs = [math.log(b.rate / own) for b, own in zip(blocks, bare(folder), strict=True)]
    return within(f"{chosen.backend}: launcher / bare loop", logs, LIMIT)


def bare(folder: Path) -> list[float]:
    """The bare loop's rates so far."""
    rates: list[float] = json.loads((folder / "bare.json").read_text())
    return rates


if __name__ == "__main__":
    if "--worker" in sys.argv:
        sys.argv.remove("--worker")
        worker()
    sys.exit(main())
