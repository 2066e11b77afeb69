"""From a trial to the exact processes that run it: a pure function."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import autotune
from autotune import environment
from autotune.types import Config, Hardware, LaunchPatch, LaunchPlan, Placement, WorkerPlan

IMPORT_ROOT = str(Path(autotune.__file__).parent.parent)
"""The folder that holds the package, so that a child finds it wherever it is started."""


def measuring(config: Config, hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """One entry a worker: pinned, preloaded, with the environment of every knob and the backend."""
    asked = environment.patch(config, hw)
    workers = (_worker(asked, placement, environ, cache) for placement in environment.placements(config, hw))
    return LaunchPlan(workers=tuple(workers))


def preparing(hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """One clean child on all allowed CPUs, without preload or knobs (NNCF aborts under some allocators)."""
    everywhere = Placement(cpus=hw.allowed_cpus, threads=len(hw.cores))
    # OpenVINO's and NNCF's converters report their use over the network unless they believe to run in CI.
    asked = LaunchPatch(env={"OMP_NUM_THREADS": str(len(hw.cores)), "CI": "true"})
    return LaunchPlan(workers=(_worker(asked, everywhere, environ, cache),))


def sensing(hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """The canary: its threads pin themselves, so its BLAS must start none of its own."""
    everywhere = Placement(cpus=hw.allowed_cpus, threads=1)
    single = LaunchPatch(env=dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    return LaunchPlan(workers=(_worker(single, everywhere, environ, cache),))


def _worker(asked: LaunchPatch, placement: Placement, environ: Mapping[str, str], cache: Path) -> WorkerPlan:
    env = environment.apply(asked, environ, str(cache))
    env["PYTHONPATH"] = IMPORT_ROOT
    argv = (*asked.argv_prefix, sys.executable, "-m", "autotune.worker")
    return WorkerPlan(argv=argv, env=env, placement=placement)
