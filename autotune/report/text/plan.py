"""What would be searched, here or on a recorded machine, and how one configuration is started; nothing is run."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text

from autotune import hardware
from autotune.core import command_template, plugins
from autotune.core.config import Config
from autotune.core.errors import MachineError, SpaceError, did_you_mean
from autotune.core.machine import Hardware
from autotune.core.space_types import Domains, Space
from autotune.core.struct import FORMAT, Value
from autotune.launch import environment, launch_plan
from autotune.models import artifacts
from autotune.report.text import doctor, formatting
from autotune.space import configs, domains
from autotune.space import values as setting
from autotune.study.search import recipes, suggest
from autotune.study.storage import store

MACHINES = Path(hardware.__file__).parent / "machines"

THEIRS = ('PATH="$PATH"', 'HOME="$HOME"')
"""What every machine has of its own, as a shell there writes it."""

NOTES = (
    "\na process gets the variables after `env -i` and no others; autotune adds its job file and pipes as arguments,",
    "and a worker pins itself to its CPUs; to start a program of your own in the same way, write",
    "`taskset -c CPUS PROGRAM` in the place of `python -m autotune.worker`",
)


class _Holder(msgspec.Struct):
    """`best.json` or a trial's `spec.json`, of which only this counts."""

    config: Config
    format: int = FORMAT


# --------------------------------------------------------------------------------------------- what is asked for


def recorded() -> dict[str, Path]:
    """The machines that come with autotune, by name."""
    return {path.stem: path for path in sorted(MACHINES.glob("*.json"))}


def machine(name: str) -> Hardware:
    """The machine of a file, such as a study's `hardware.json`, or a recorded one; MachineError or StudyError."""
    path, known = Path(name), recorded()
    if not path.exists() or path.is_dir():
        wanted = name.removesuffix(".json")
        if wanted not in known:
            near = did_you_mean(wanted, known).replace("allowed", "recorded")
            raise MachineError(f"no hardware {name!r}, neither a file nor a recorded machine{near}")
        path = known[wanted]
    hw = store.decode(path, Hardware, f"give the hardware.json of a study, or one of {', '.join(known)}")
    if not hw.cores:
        raise MachineError(f"{path} has no usable CPU: none of its allowed_cpus is among its cpus")
    return hw


def chosen(space: Space, hw: Hardware, pick: int | None = None, file: Path | None = None) -> Config:
    """The baseline, number `pick` of what is tried first, or what a `best.json` or `spec.json` holds.

    SpaceError or StudyError if there is no such configuration, or this machine cannot honour it.
    """
    if file is not None:
        what, config = str(file), _read(file, hw)
    else:
        first = recipes.first(space, hw)
        number = 1 if pick is None else pick
        if not 1 <= number <= len(first):
            raise SpaceError(f"--pick is {number}; allowed: 1 to {len(first)}, the configurations that are tried first")
        what, config = f"configuration {number}", first[number - 1]
    if reason := _why_not(config, space, hw):
        raise SpaceError(f"{what} cannot be used on {hw.instance_type}; {reason}")
    return config


def _read(path: Path, hw: Hardware) -> Config:
    """The configuration in a file, defaults filled in for what it does not name."""
    found = store.decode(path, _Holder, "give a best.json or the spec.json of a trial").config
    config = configs.configure(
        hw,
        batch_size=found.workload.batch_size,
        backend=found.backend,
        options=found.options,
        knobs=found.knobs,
    )
    for name, value in config.knobs.items():
        if allowed := setting.illegal(name, value):
            raise SpaceError(f"{path}: {name} is {formatting.literal(value)}; allowed: {allowed}")
    return config


def _why_not(config: Config, space: Space, hw: Hardware) -> str | None:
    """Why a configuration cannot run the space's workload on a machine, or None."""
    invented = space.domains.backends.get(config.backend, config.options)
    if set(invented) != set(config.options):
        return f"{config.backend} has the options {', '.join(invented)} here, not {', '.join(config.options)}"
    provider = plugins.load("workloads", space.workload.provider)
    return domains.unfit(config.backend, provider) or configs.unavailable(config, hw)


# ------------------------------------------------------------------------------------------------ what is printed


def print_to(
    console: Console, space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None = None
) -> None:
    """The machine, what would be searched on it, what not and why, what is tried first, and how `config` is started.

    `environ` is what workers may inherit on this machine; None says that `hw` is another one.
    """
    for line in lines(space, hw, config, environ, artifacts.default_folder()):
        console.print(line, soft_wrap=True)


def lines(space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None, cache: Path) -> Iterator[Text]:
    """What `print_to` prints."""
    yield from map(Text, doctor.machine(hw))
    yield Text(f"\n{space.workload.model}: up to {suggest.count(space.domains)} configurations are searched")
    for name, said in formatting.wanted(space.goal):
        yield _row(name, said)
    found = settings(space.domains)
    for name, values in found.items():
        if len(values) > 1:
            yield _row(name, ", ".join(map(formatting.literal, values)), "green")
    fixed = [f"{name} {formatting.literal(values[0])}" for name, values in found.items() if len(values) == 1]
    yield _row("fixed", ", ".join(fixed))
    if space.excluded:
        yield Text("\nleft out here:")
    for entry in space.excluded:
        yield _row(f"{entry.setting} {formatting.literal(entry.value)}", entry.reason, "yellow")
    yield Text("\ntried first (--pick N says how number N is started):")
    for number, advised in enumerate(recipes.first(space, hw), 1):
        baseline = " (the baseline)" if advised == space.baseline else ""
        reason = _why_not(advised, space, hw)
        skipped = (f" is passed over; {reason}", "yellow") if reason else ""
        yield Text.assemble(f"{number:3}  {formatting.configuration(advised)}{baseline}", skipped)
    yield from _started(space, hw, config, environ, cache)


def settings(searched: Domains) -> dict[str, tuple[Value, ...]]:
    """The values of every setting, options named `<backend>.<option>`."""
    options = {
        f"{backend}.{option}": values for backend, axes in searched.backends.items() for option, values in axes.items()
    }
    return {"batch_size": searched.batch_size, **searched.knobs, "backend": tuple(searched.backends), **options}


def _row(name: str, text: str, style: str = "") -> Text:
    return Text.assemble(f"{name:33} ", (text, style))


def _started(
    space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None, cache: Path
) -> Iterator[Text]:
    launched = launch_plan.measuring(config, hw, environ or {}, cache)
    yield Text(f"\n{formatting.configuration(config)} is started so:")
    for number, worker in enumerate(launched.workers, 1):
        place = worker.placement
        node = "several NUMA nodes" if place.node is None else f"NUMA node {place.node}"
        threads = formatting.number(place.threads, "thread")
        yield Text(f"worker {number}: {threads} on CPUs {doctor.ranges(place.cpus)} of {node}")
        yield Text(shell(worker, elsewhere=environ is None), "cyan")
    if space.workload.provider == "command":
        program = command_template.filled(space.workload.name, config)
        yield Text(f"each worker runs: {' '.join(map(quoted, program))}")
    yield from map(Text, NOTES)
    if environ is None:
        others = ", ".join(name for name in environment.INHERITED if name not in ("PATH", "HOME"))
        yield Text(f"there, workers also inherit, where they are set: {others}")


def shell(worker: launch_plan.WorkerPlan, *, elsewhere: bool = False) -> str:
    """A worker's process as one line for bash; `elsewhere`, python and autotune are those of that machine."""
    argv, env = worker.argv, [f"{name}={value}" for name, value in worker.env.items()]
    if elsewhere:
        argv = tuple("python" if word == sys.executable else word for word in argv)
        env = [variable for variable in env if variable != f"PYTHONPATH={launch_plan.IMPORT_ROOT}"]
    # `env` takes any word with a '=' for a variable until it meets the program.
    through = ["nice", "-n", "0"] if "=" in argv[0] else []
    return " ".join(["env -i", *(THEIRS if elsewhere else ()), *map(quoted, (*env, *through, *argv))])


def quoted(word: str) -> str:
    """A word for bash; control characters and undecodable bytes are written out, so that they survive a terminal."""
    if word.isprintable():
        name, equals, value = word.partition("=")
        return f"{name}={shlex.quote(value)}" if equals and name.isidentifier() and value else shlex.quote(word)
    safe = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word)
    )
    return f"$'{''.join(safe)}'"
