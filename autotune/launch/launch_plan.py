"""From a trial to the exact processes that run it: a pure function."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

import autotune
from autotune.core.config import Config, Placement
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import OWN, Hardware
from autotune.core.struct import Struct
from autotune.core.variables import PYTHONPATH
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


def measuring(
    config: Config, hw: Hardware, environ: Mapping[str, str], cache: Path, named: Collection[str] = ()
) -> LaunchPlan:
    """One entry a worker: pinned, preloaded, with the environment of every knob and the backend.

    Of `environ` it gets what any child inherits, and what the space file names.
    """
    asked = environment.patch(config, hw)
    placements = environment.placements(config, hw)
    start = _interpreter(config.interpreter, hw, cache)
    workers = (_worker(asked, placement, hw, environ, cache, start, named) for placement in placements)
    return LaunchPlan(workers=tuple(workers))


def preparing(
    hw: Hardware,
    environ: Mapping[str, str],
    cache: Path,
    interpreter: str = OWN,
    asked: LaunchPatch | None = None,
    named: Collection[str] = (),
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
    start = _interpreter(interpreter, hw, cache)
    return LaunchPlan(workers=(_worker(clean, everywhere, hw, environ, cache, start, named),))


def sensing(hw: Hardware, environ: Mapping[str, str], cache: Path) -> LaunchPlan:
    """The canary: its threads pin themselves, so its BLAS must start none of its own."""
    everywhere = Placement(cpus=hw.allowed_cpus, threads=1)
    single = LaunchPatch(env=dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    return LaunchPlan(workers=(_worker(single, everywhere, hw, environ, cache, _interpreter(OWN, hw, cache)),))


def apart(env: Mapping[str, str], import_root: str) -> dict[str, str]:
    """The variables with which another environment's Python sees our package there and nothing else of ours."""
    inherited = {name: value for name, value in env.items() if name != "VIRTUAL_ENV"}
    return inherited | {PYTHONPATH: import_root, "PYTHONNOUSERSITE": "1"}


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
    named: Collection[str] = (),
) -> WorkerPlan:
    python, import_root = start
    env = environment.apply(asked, environ, str(cache), named)
    theirs = env.get(PYTHONPATH)
    if import_root == IMPORT_ROOT:
        env[PYTHONPATH] = import_root
    else:
        env = apart(env, import_root)
    if theirs is not None:  # from here, where a worker does not run
        env[PYTHONPATH] = os.pathsep.join([import_root, *map(os.path.abspath, theirs.split(os.pathsep))])
    prefix = environment.prefix(asked.argv_prefix, placement, hw)
    return WorkerPlan(argv=(*prefix, python, "-m", "autotune.worker"), env=env, placement=placement)
