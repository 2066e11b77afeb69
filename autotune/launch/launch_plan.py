"""From a trial to the exact processes that run it: a pure function."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

import autotune
from autotune.core.config import Config, Placement
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import OWN, Hardware
from autotune.core.struct import Struct
from autotune.launch import environment

IMPORT_ROOT = str(Path(autotune.__file__).parent.parent)
"""The folder that holds the package, so that a child finds it wherever it is started."""

ALONE = "package"
"""A folder of the cache with a link to the package and nothing else: what another environment may see of ours."""


class WorkerPlan(Struct):
    """One process to start: exact argv, exact environment, and where it is pinned."""

    argv: tuple[str, ...]
    env: dict[str, str]
    placement: Placement


class LaunchPlan(Struct):
    """All processes of a trial."""

    workers: tuple[WorkerPlan, ...]


def measuring(config: Config, hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """One entry a worker: pinned, preloaded, with the environment of every knob and the backend."""
    asked = environment.patch(config, hw)
    placements = environment.placements(config, hw)
    start = _interpreter(config.interpreter, hw, cache)
    return LaunchPlan(workers=tuple(_worker(asked, placement, hw, environ, cache, start) for placement in placements))


def preparing(
    hw: Hardware, environ: Mapping[str, str], cache: Path, interpreter: str = OWN, asked: LaunchPatch | None = None
) -> LaunchPlan:
    """One clean child on all allowed CPUs, without preload or knobs (NNCF aborts under some allocators).

    What is `asked` for comes on top: a model that is judged must compute as it would be served.
    """
    asked = asked or LaunchPatch()
    everywhere = Placement(cpus=hw.allowed_cpus, threads=len(hw.cores))
    # OpenVINO's and NNCF's converters report their use over the network unless they believe to run in CI.
    # Inductor compiles its headers and tests of the CPU once for all, where it may keep them.
    inductor = dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "TMPDIR"), "{cache}/inductor")
    env = {"OMP_NUM_THREADS": str(len(hw.cores)), "CI": "true", **inductor, **asked.env}
    clean = msgspec.structs.replace(asked, env=env)
    return LaunchPlan(workers=(_worker(clean, everywhere, hw, environ, cache, _interpreter(interpreter, hw, cache)),))


def sensing(hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """The canary: its threads pin themselves, so its BLAS must start none of its own."""
    everywhere = Placement(cpus=hw.allowed_cpus, threads=1)
    single = LaunchPatch(env=dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    return LaunchPlan(workers=(_worker(single, everywhere, hw, environ, cache, _interpreter(OWN, hw, cache)),))


def apart(import_root: str) -> dict[str, str]:
    """The variables with which the Python of another environment sees our package in that folder and nothing else."""
    return {"PYTHONPATH": import_root, "PYTHONNOUSERSITE": "1"}


def _interpreter(name: str, hw: Hardware, cache: Path) -> tuple[str, str]:
    """The program of an environment's Python, and the folder in which it finds autotune.

    Another environment gets a folder with only our package in it: beside the package lie our own site-packages.
    """
    if name == OWN:
        return sys.executable, IMPORT_ROOT
    return f"{hw.environments[name].prefix}/bin/python", str(cache / ALONE)


def _worker(
    asked: LaunchPatch,
    placement: Placement,
    hw: Hardware,
    environ: Mapping[str, str],
    cache: Path,
    start: tuple[str, str],
) -> WorkerPlan:
    python, import_root = start
    env = environment.apply(asked, environ, str(cache))
    if import_root == IMPORT_ROOT:
        env["PYTHONPATH"] = import_root
    else:
        env.pop("VIRTUAL_ENV", None)  # it is ours
        env |= apart(import_root)
    prefix = environment.prefix(asked.argv_prefix, placement, hw)
    return WorkerPlan(argv=(*prefix, python, "-m", "autotune.worker"), env=env, placement=placement)
