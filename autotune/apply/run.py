"""A user's program started as `best.json` says: one process a worker, pinned, preloaded, with the environment."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from autotune.apply import best_file, worker_group
from autotune.core.best import Best
from autotune.core.config import Layout, Placement
from autotune.core.errors import MachineError, NotStarted
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.variables import READ_BY_RUNTIMES
from autotune.knobs import layout
from autotune.launch import environment
from autotune.launch.launch_plan import LaunchPlan, WorkerPlan


def run(
    path: Path,
    command: Sequence[str],
    hw: Hardware,
    environ: Mapping[str, str],
    cache: Path,
    warn: Callable[[str], None],
    *,
    force: bool = False,
    torch_distributed_env: bool = False,
    grace_s: float = worker_group.GRACE_S,
) -> int:
    """The exit status of the program (128 + the signal that killed it), that of the first worker that failed.

    A single worker takes the place of this process, so that the call does not return. What differs from the tuned
    machine is told to `warn`, a line each. Once a worker has failed the others have `grace_s` seconds to end.
    MachineError if there are too few cores or a library is missing, unless forced; NotStarted if there is no such
    program; StudyError for a file that cannot be used.
    """
    best = best_file.read(path)
    missing = best_file.blocking(best, hw)
    if missing and not force:
        raise MachineError(f"{path} cannot be used here; {'; '.join(missing)}; or go without by --force")
    planned = plan(best, path, command, hw, environ, cache, torch_distributed_env=torch_distributed_env)
    for line in [*best_file.differences(best, hw), *changes(best, planned, environ)]:
        warn(line)
    _check(command[0], planned.workers[0].env)
    for value in best.environment.values():
        if value is not None and value.startswith("{cache}"):
            Path(value.replace("{cache}", str(cache))).mkdir(mode=0o700, parents=True, exist_ok=True)
    with _start_errors(command[0]):
        return worker_group.run(planned, grace_s) if len(planned.workers) > 1 else _become(planned.workers[0])


def plan(
    best: Best,
    path: Path,
    command: Sequence[str],
    hw: Hardware,
    environ: Mapping[str, str],
    cache: Path,
    *,
    torch_distributed_env: bool = False,
) -> LaunchPlan:
    """The processes to start here: the whole environment that is given, changed as `best` says.

    A library that is missing is left out; one that the user preloads stays, behind ours. RANK and WORLD_SIZE, where
    wanted, are what AUTOTUNE_RANK and AUTOTUNE_WORLD_SIZE are.
    """
    asked = LaunchPatch(
        env=best.environment,
        preload=tuple(library for library in best.preload if os.path.isfile(library)),
        argv_prefix=best.argv_prefix if best_file.starts(best.argv_prefix) else (),
    )
    env = environment.changed(asked, environ, str(cache)) | {"AUTOTUNE_BEST": os.path.abspath(path)}
    if asked.preload and environ.get("LD_PRELOAD"):
        env["LD_PRELOAD"] += f":{environ['LD_PRELOAD']}"
    workers = []
    places = placements(best, hw)
    for rank, place in enumerate(places):
        numbers = {"RANK": str(rank), "WORLD_SIZE": str(len(places))}
        own = {f"AUTOTUNE_{name}": number for name, number in numbers.items()}
        own |= numbers if torch_distributed_env else {}
        argv = (*environment.prefix(asked.argv_prefix, place, hw), *command)
        workers.append(WorkerPlan(argv=argv, env=env | own, placement=place))
    return LaunchPlan(workers=tuple(workers))


def placements(best: Best, hw: Hardware) -> tuple[Placement, ...]:
    """The CPUs and threads of each worker here.

    Those that were tuned where they are equivalent here, else as the layout falls on this machine. Where there are too
    few cores, workers share them in turn.
    """
    if layout.unavailable(str(best.config.layout), hw):
        return _shared_cores(best.config.layout, hw)
    return best.layout if _equivalent(best.layout, hw) else environment.placements(best.config, hw)


def _shared_cores(wanted: Layout, hw: Hardware) -> tuple[Placement, ...]:
    cores = [cpu.id for cpu in hw.cores]
    found = []
    for rank in range(wanted.workers):
        turns = range(rank * wanted.threads, (rank + 1) * wanted.threads)
        cpus = sorted({cores[turn % len(cores)] for turn in turns})
        found.append(Placement(cpus=tuple(cpus), threads=wanted.threads))
    return tuple(found)


def _equivalent(tuned: Sequence[Placement], hw: Hardware) -> bool:
    """True if all tuned CPUs may be used here, each on a core of its own, and a worker of one node is on one here."""
    here = {cpu.id: cpu for cpu in hw.cpus if cpu.id in hw.allowed_cpus}
    used = [cpu for place in tuned for cpu in place.cpus]
    if not here.keys() >= set(used):
        return False
    own_cores = len({here[cpu].core for cpu in used}) == len(used)
    one_node = all(len({here[cpu].node for cpu in place.cpus}) == 1 for place in tuned if place.node is not None)
    return own_cores and one_node


def changes(best: Best, planned: LaunchPlan, environ: Mapping[str, str]) -> list[str]:
    """The ways in which the program is not started as it was measured, a line each."""
    lines = []
    cpus = [place.placement.cpus for place in planned.workers]
    if cpus != [place.cpus for place in best.layout]:
        shown = " | ".join(",".join(map(str, one)) for one in cpus)
        lines.append(f"layout: the tuned CPUs are others here; the workers run on {shown}")
    ours = {name for name, value in best.environment.items() if value is not None}
    strange = sorted(name for name in environ if name.startswith(READ_BY_RUNTIMES) and name not in ours)
    kept = [name for name in strange if name in planned.workers[0].env]
    if kept:
        lines.append(f"set here, and not when it was measured: {', '.join(kept)}; unset what is not meant")
    return lines


def _check(program: str, env: Mapping[str, str]) -> None:
    """NotStarted unless the program can be found and executed."""
    if shutil.which(program, path=env.get("PATH", os.defpath)):
        return
    if os.path.dirname(program) and os.path.exists(program):
        what = "is a folder" if os.path.isdir(program) else "is not executable; chmod +x it, or name its interpreter"
        raise NotStarted(f"{program!r} {what}", 126)
    where = "there is no such file" if os.path.dirname(program) else "it is nowhere in PATH"
    raise NotStarted(f"{program!r} was not found: {where}; write the program after --", 127)


def _become(worker: WorkerPlan) -> NoReturn:
    """Put the program in the place of this process, with the signals' own meaning (Python ignores some)."""
    os.sched_setaffinity(0, worker.placement.cpus)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(worker.argv[0], worker.argv, worker.env)


@contextlib.contextmanager
def _start_errors(program: str) -> Iterator[None]:
    """Turns an OSError into NotStarted."""
    try:
        yield
    except OSError as error:
        raise NotStarted(f"{program!r} does not start: {error.strerror or error}", 126) from error
