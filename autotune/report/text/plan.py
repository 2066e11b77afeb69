"""The text of the command `plan`: the space on a machine, and how one configuration is started there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from autotune.core import command_template, variables
from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.launch import launch_plan
from autotune.models import artifact_cache
from autotune.report.text import doctor, formatting, planned_config, settings
from autotune.report.text.shell_command import quoted, worker_command
from autotune.study.model import suggest
from autotune.study.search import recipes

NOTES = (
    "\na process gets the variables after `env -i` and no others; autotune adds its job file and pipes as arguments,",
    "and a worker pins itself to its CPUs; to start a program of your own in the same way, write",
    "`taskset -c CPUS PROGRAM` in the place of `python -m autotune.worker`",
)


def print_to(
    console: Console, space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None = None
) -> None:
    """The machine, what would be searched on it, what not and why, what is tried first, and how `config` is started.

    `environ` is what workers may inherit on this machine; None says that `hw` is another one.
    """
    for line in lines(space, hw, config, environ, artifact_cache.default_folder()):
        console.print(line, soft_wrap=True)


def lines(space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None, cache: Path) -> Iterator[Text]:
    """The lines that `print_to` prints."""
    yield from map(Text, doctor.machine(hw))
    yield Text(f"\n{space.workload.model}: up to {suggest.count(space.domains)} configurations are searched")
    for name, said in formatting.wanted(space.goal):
        yield _row(name, said)
    values_of = settings.of_domains(space.domains)
    for name, values in values_of.items():
        if len(values) > 1:
            yield _row(name, ", ".join(map(formatting.literal, values)), "green")
    fixed = [f"{name} {formatting.literal(values[0])}" for name, values in values_of.items() if len(values) == 1]
    yield _row("fixed", ", ".join(fixed))
    if space.excluded:
        yield Text("\nleft out here:")
    for entry in space.excluded:
        yield _row(f"{entry.setting} {formatting.literal(entry.value)}", entry.reason, "yellow")
    yield Text("\ntried first (--pick N says how number N is started):")
    for number, advised in enumerate(recipes.first(space, hw), 1):
        baseline = " (the baseline)" if advised == space.baseline else ""
        reason = planned_config.why_not(advised, space, hw)
        skipped = (f" is passed over; {reason}", "yellow") if reason else ""
        yield Text.assemble(f"{number:3}  {formatting.configuration(advised)}{baseline}", skipped)
    yield from _started(space, hw, config, environ, cache)


def _row(name: str, text: str, style: str = "") -> Text:
    return Text.assemble(f"{name:33} ", (text, style))


def _started(
    space: Space, hw: Hardware, config: Config, environ: Mapping[str, str] | None, cache: Path
) -> Iterator[Text]:
    launched = launch_plan.measuring(config, hw, environ or {}, cache, space.workload.env)
    yield Text(f"\n{formatting.configuration(config)} is started so:")
    for number, worker in enumerate(launched.workers, 1):
        place = worker.placement
        node = "several NUMA nodes" if place.node is None else f"NUMA node {place.node}"
        threads = formatting.number(place.threads, "thread")
        yield Text(f"worker {number}: {threads} on CPUs {doctor.ranges(place.cpus)} of {node}")
        command = worker_command(worker, elsewhere=environ is None, named=space.workload.env)
        yield Text(command, "cyan")
    if space.workload.provider == "command":
        program = command_template.filled(space.workload.name, config)
        yield Text(f"each worker runs: {' '.join(map(quoted, program))}")
    yield from map(Text, NOTES)
    if environ is None:
        inherited = [*variables.INHERITED, f"{variables.INHERITED_BEGINNING}*", *space.workload.env]
        others = ", ".join(name for name in inherited if name not in ("PATH", "HOME"))
        yield Text(f"there, workers also inherit, where they are set: {others}")
