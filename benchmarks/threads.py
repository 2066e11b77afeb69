"""Do threads that share one loaded model get the answers to their own batches? 8 threads, 100,000 calls a backend.

A small net is loaded by `autotune.load` once for each backend, in a process of its own, and called by all threads with
batches whose answers are known from lone calls. Prints the wrong answers and the errors of each; both must be 0.

    python benchmarks/threads.py [--calls 100000] [--threads 8] [--only openvino]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

import autotune
from autotune.core.best import Best, Measurements
from autotune.core.estimate import Estimate
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch import environment
from autotune.report.export import writer
from autotune.space import configs

BACKENDS: tuple[tuple[str, dict[str, Value]], ...] = (
    ("onnxruntime", {}),
    ("onnxruntime", {"precision": "int8"}),
    ("openvino", {}),
    ("openvino", {"requests": 2}),
    ("openvino", {"precision": "int8"}),
    ("torch_eager", {}),
    ("torch_compile", {}),
    ("torch_aot", {}),
    ("torch_int8", {}),
)
BATCHES = 64
ROWS = 2


def build() -> Any:
    """The net: of a few layers, so that most of a call is what threads could disturb."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)]
    return nn.Sequential(*body).eval()


def main() -> int:
    """Try every backend that this machine has; 1 if any gave a wrong answer or an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--only", help="one backend")
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.load is not None:
        return called(chosen.load, chosen.calls, chosen.threads)
    failed = 0
    for backend, options in BACKENDS:
        if chosen.only not in (None, backend):
            continue
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "best.json"
            if reason := written(path, backend, options):
                print(f"{backend} {options}: not here: {reason}", flush=True)
                continue
            asked = [f"--calls={chosen.calls}", f"--threads={chosen.threads}", f"--load={path}"]
            failed += subprocess.run([sys.executable, __file__, *asked], check=False).returncode != 0
    return int(failed > 0)


def written(path: Path, backend: str, options: dict[str, Value]) -> str | None:
    """Write a `best.json` of the net on a backend; the reason where this machine has not what that needs."""
    hw = probe.probe()
    config = configs.configure(hw, batch_size=ROWS, backend=backend, options=options, knobs={"layout": "1x1"})
    if reason := configs.unavailable(config, hw):
        return reason
    patch = environment.patch(config, hw)
    best = Best(
        study="threads",
        trial=None,
        confirmed=False,
        workload=WorkloadSpec(model=f"python:{__file__}:build", inputs=(InputSpec(shape=("batch", 3, 16, 16)),)),
        config=config,
        environment=patch.env,
        preload=patch.preload,
        argv_prefix=patch.argv_prefix,
        layout=environment.placements(config, hw),
        measured=Measurements(throughput=Estimate(estimate=1.0, low=None, high=None), speedup=None),
        fidelity=None,
        hardware=hw,
        versions={},
        artifact=None,
    )
    writer.write(path, best)
    return None


def called(path: Path, calls: int, threads: int) -> int:
    """Load the file, call it by all threads, print what came of it; 1 if anything was wrong."""
    import numpy as np

    warnings.simplefilter("ignore")
    model = autotune.load(path)
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((ROWS, 3, 16, 16), dtype=np.float32) for _ in range(BATCHES)]
    alone = [model(batch) for batch in batches]
    apart = min(float(np.abs(one - alone[0]).max()) for one in alone[1:])

    def by_thread(number: int) -> tuple[int, int]:
        own = np.random.default_rng(number)
        wrong = errors = 0
        for place in own.integers(0, BATCHES, calls // threads):
            try:
                wrong += not np.allclose(model(batches[place]), alone[place], rtol=0, atol=apart / 10)
            except Exception:
                errors += 1
        return wrong, errors

    begin = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(by_thread, range(threads)))
    seconds = time.monotonic() - begin
    wrong, errors = (sum(part) for part in zip(*found, strict=True))
    config = model.best.config
    options = msgspec.json.encode(
        {key: config.options[key] for key in ("precision", "requests") if key in config.options}
    )
    print(
        f"{config.backend} {options.decode()}: {calls // threads * threads} calls from {threads} threads, "
        f"{wrong} wrong answers, {errors} errors, {1e6 * seconds / calls:.0f} us a call",
        flush=True,
    )
    return int(wrong + errors > 0)


if __name__ == "__main__":
    sys.exit(main())
