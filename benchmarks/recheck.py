"""Does a confirmed speed-up still hold later? Measured again with plain loops in fresh processes, baseline and winner.

Nothing of the launcher, the blocks, the canary or the statistics is used: every process loads its configuration with
the environment and pinning of the study's files, makes calls for some seconds and prints their number. The two take
turns. Prints the ratio, which must lie within the claim's interval widened by 3 %.

    python benchmarks/recheck.py STUDY [--launches 10] [--seconds 4]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from common import say, together

from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.launch import environment
from autotune.models import artifact_cache, workload
from autotune.study.storage import store

SLACK = 1.03


def main() -> int:
    """Alternate, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--launches", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=4.0)
    chosen = parser.parse_args()
    best = msgspec.json.decode((chosen.study / "best.json").read_bytes(), type=Best)
    base = next(r for r in store.results(chosen.study) if r.spec.config == store.space(chosen.study).baseline)
    if not best.confirmed or best.config == base.spec.config:
        parser.error(f"{chosen.study} has no confirmed gain over its baseline, so there is nothing to hold it to")
    keys = {best.config: best.artifact.key if best.artifact else None, base.spec.config: None}
    logs: list[float] = []
    for number in range(chosen.launches):
        order = list(keys.items()) if number % 2 else list(keys.items())[::-1]
        rates = {config: rate(best, config, key, chosen.seconds) for config, key in order}
        logs.append(math.log(rates[best.config] / rates[base.spec.config]))
        print(f"{number + 1:3}  {math.exp(logs[-1]):.3f}", flush=True)
    found, claim = math.exp(statistics.fmean(logs)), best.measured.speedup
    assert claim.low is not None and claim.high is not None
    holds = claim.low / SLACK <= found <= claim.high * SLACK
    print(
        f"claimed {claim.estimate:.3f} ({claim.low:.3f} to {claim.high:.3f}), found {found:.3f}; "
        f"ratio {found / claim.estimate:.3f}; {'holds' if holds else 'does NOT hold'}"
    )
    return 0 if holds else 1


def rate(best: Best, config: Config, key: str | None, seconds: float) -> float:
    """Samples per second of all workers of a configuration together, in fresh processes."""
    patch = environment.patch(config, best.hardware)
    env = environment.apply(patch, os.environ, str(artifact_cache.default_folder()))
    env["PYTHONPATH"] = str(Path(__file__).parents[1])
    children = []
    for placement in environment.placements(config, best.hardware):
        command = [*patch.argv_prefix, sys.executable, __file__, "--child"]
        child = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        job = {"best": msgspec.to_builtins(best), "config": msgspec.to_builtins(config), "artifact": key}
        say(child, json.dumps({**job, "cpus": placement.cpus, "seconds": seconds}))
        children.append(child)
    return together(children)


def run_child() -> None:
    """Load one worker's session and count calls in a plain loop."""
    job = json.loads(sys.stdin.readline())
    os.sched_setaffinity(0, job["cpus"])
    best = msgspec.convert(job["best"], Best)
    config = msgspec.convert(job["config"], Config)
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    folder = artifact_cache.default_folder() / "artifacts" / job["artifact"] if job["artifact"] else None
    session = backend.load(workload.BuiltWorkload(best.workload), options, config, folder)
    batch = session.convert(workload.BuiltWorkload(best.workload).arrays(config.workload.batch_size))
    for _ in range(3):
        session(batch)
    print("ready", flush=True)
    sys.stdin.readline()
    calls, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < job["seconds"]:
        session(batch)
        calls += 1
    print("rate", calls * config.workload.batch_size / (time.perf_counter() - begin), flush=True)
    os._exit(0)


if __name__ == "__main__":
    if "--child" in sys.argv:
        run_child()
    sys.exit(main())
