"""Does the rate that a trial reports last? One trial with requests that arrive by themselves, then a minute of them.

The rate found is asked of fresh processes for 60 s. Prints it, the percentile of the latency that was seen and its
ratio to the limit, which must be kept: judged as a claim, by MLPerf's early-stopping rule.

    python benchmarks/serving.py [--model torchvision:resnet18] [--backend onnxruntime] [--batch 1] [--layout 2x1]
                                 [--percentile p99] [--limit-ms 200] [--delay-ms 0] [--seconds 60]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec
from common import Quiet

from autotune import artifacts, hardware, space
from autotune.launch.machine import Machine
from autotune.results import Served, TrialResult
from autotune.rules import MeasureRules
from autotune.types import InputSpec, ServingSpec, TrialSpec, WorkloadSpec

SHAPE = (3, 224, 224)


def main() -> int:
    """Find a rate, then let it last; 1 if it does not."""
    chosen = arguments()
    hw, rules, cache = hardware.probe(), MeasureRules(), artifacts.default_folder()
    serving = ServingSpec(latency_ms=chosen.limit_ms, percentile=chosen.percentile, queue_delay_ms=chosen.delay_ms)
    workload = WorkloadSpec(model=chosen.model, inputs=(InputSpec(shape=("batch", *SHAPE)),), serving=serving)
    knobs = {"layout": chosen.layout or f"{len(hw.cores)}x1"}
    config = space.configure(hw, batch_size=chosen.batch, backend=chosen.backend, knobs=knobs)
    spec = TrialSpec(id=0, workload=workload, config=config, folder="trial")
    with tempfile.TemporaryDirectory() as name, Machine(hw, Path(name), cache, Quiet()) as machine:
        result = machine.execute(spec, rules, None)
        found = result.served
        if found is None:
            print(f"the trial is {result.status}: {result.error}")
            return 1
        print(described(result, found))
        if found.rate == 0:
            print(f"no rate keeps {chosen.percentile} within {chosen.limit_ms:g} ms")
            return 1
        lasting = msgspec.structs.replace(spec, id=1, folder="lasting")
        sustained = machine.sustain(lasting, rules, found.rate, chosen.seconds)
    probe = sustained.probe
    if probe is None:
        print(f"the fresh processes failed: {sustained.error}")
        return 1
    ratio = probe.latency_ms / chosen.limit_ms
    print(
        f"{probe.seconds:g} s at {probe.rate:.1f}/s: {chosen.percentile} {probe.latency_ms:.1f} ms, "
        f"{ratio:.2f} of the limit; {probe.over} of {probe.requests} requests over it"
    )
    print(f"limit of {chosen.limit_ms:g} ms kept: {'yes' if probe.kept else 'no'}")
    return 0 if probe.kept else 1


def arguments() -> argparse.Namespace:
    """The configuration and its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="torchvision:resnet18")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--layout")
    parser.add_argument("--percentile", choices=("p50", "p90", "p95", "p99"), default="p99")
    parser.add_argument("--limit-ms", type=float, default=200.0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    return parser.parse_args()


def described(result: TrialResult, found: Served) -> str:
    """The rate found beside that of the closed loop, and every probe."""
    closed = max(block.rate for block in result.blocks)
    probes = ", ".join(f"{probe.rate:.1f} {'kept' if probe.kept else 'not kept'}" for probe in found.probes)
    spent_s = sum(probe.seconds for probe in found.probes)
    return (
        f"{found.rate:.1f}/s, {found.rate / closed:.2f} of the closed loop's {closed:.1f}/s; "
        f"{len(found.probes)} probes, {spent_s:.0f} s ({probes})"
    )


if __name__ == "__main__":
    sys.exit(main())
