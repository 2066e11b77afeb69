"""The output of the command `doctor`: every setting that this machine offers or lacks, with reason and remedy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from autotune.core import plugins
from autotune.core.machine import Hardware
from autotune.core.struct import Struct
from autotune.hardware import interpreters
from autotune.report.text import formatting
from autotune.space import domains

OVER_QUOTA = "the kernel halts them in every period; layouts of fewer threads, or a quota of whole CPUs, do without"


class Finding(Struct):
    """A setting's value, and why it is not available here (None: it is)."""

    setting: str
    value: str
    reason: str | None


def findings(hw: Hardware) -> Iterator[Finding]:
    """Every value of every knob, every backend with the values of its options, and every source of models."""
    for name in plugins.names("knobs"):
        knob = plugins.load("knobs", name)
        for value in domains.candidates(name, hw):
            yield Finding(setting=name, value=formatting.literal(value), reason=knob.unavailable(value, hw))
    for name in plugins.names("backends"):
        backend = plugins.load("backends", name)
        machines = [hw, *(hw.seen_by(other) for other in hw.environments)]
        found = domains.options(name, machines)
        reason = backend.unavailable(backend.Options(), hw) if found is None else None
        yield Finding(setting="backend", value=name, reason=reason)
        if found is not None:
            usable, left_out = found
            for option, values in usable.items():
                setting = f"{name}.{option}"
                yield from (Finding(setting=setting, value=formatting.literal(value), reason=None) for value in values)
                lost = (entry for entry in left_out if entry.setting == setting)
                yield from (Finding(setting=setting, value=formatting.literal(e.value), reason=e.reason) for e in lost)
    for name in plugins.names("workloads"):
        provider = plugins.load("workloads", name)
        yield Finding(setting="models", value=name, reason=provider.unavailable(provider.Options(), hw))


def print_to(console: Console, hw: Hardware) -> None:
    """The machine, then a line for each setting, then what is missing."""
    for line in machine(hw):
        console.print(line, soft_wrap=True)
    found = list(findings(hw))
    console.print()
    for setting in dict.fromkeys(entry.setting for entry in found):
        values = [entry.value for entry in found if entry.setting == setting and entry.reason is None]
        console.print(Text.assemble(f"{setting:34}", (", ".join(values), "green")), soft_wrap=True)
    missing = [entry for entry in found if entry.reason is not None]
    if missing:
        console.print("\nnot available here:")
    for entry in missing:
        console.print(
            Text.assemble(f"{entry.setting + ' ' + entry.value:34}", (entry.reason or "", "yellow")), soft_wrap=True
        )


def print_environments(console: Console, folder: Path, problem: Callable[[Path], str | None]) -> None:
    """A line for each environment: what it has, or why it cannot run workers."""
    found = sorted(folder.glob("*/"))
    for path in found:
        reason = problem(path)
        have = interpreters.read(path)
        listed = ", ".join(f"{name} {version}" for name, version in have.packages.items())
        state = Text(reason, "yellow") if reason else Text(f"Python {have.python}: {listed}", "green")
        console.print(Text.assemble(f"{path.name:20}", state), soft_wrap=True)
    if not found:
        console.print(f"none in {folder}; make one: environments create NAME torch==2.8.0", soft_wrap=True)


def machine(hw: Hardware) -> list[str]:
    """The machine in a few lines."""
    quota = "" if hw.cpu_quota is None else f", quota {hw.cpu_quota:g} CPUs"
    nodes = len({cpu.node for cpu in hw.cpus})
    sockets = len({cpu.socket for cpu in hw.cpus})
    cores = len({cpu.core for cpu in hw.cpus})
    throttled = hw.cpu_quota is not None and len(hw.cores) > hw.cpu_quota
    software = [f"glibc {hw.glibc or '?'}", *(f"{name} {version}" for name, version in sorted(hw.packages.items()))]
    return [
        f"machine    {hw.instance_type} ({hw.fingerprint})",
        f"cpu        {hw.cpu_model}: {sockets} socket(s), {cores} cores, {len(hw.cpus)} threads, {nodes} NUMA node(s)",
        f"usable     {len(hw.cores)} cores of CPUs {ranges(hw.allowed_cpus)}{quota}",
        *([f"quota      {len(hw.cores)} threads exceed it: {OVER_QUOTA}"] if throttled else []),
        f"isa        {', '.join(hw.isa) or 'nothing special'}",
        f"memory     {hw.usable_memory_bytes / 2**30:.1f} GiB, transparent huge pages: {hw.huge_page_mode or 'none'}",
        f"software   {', '.join(software)}",
    ]


def ranges(numbers: Sequence[int]) -> str:
    """`0-3, 8`."""
    runs = itertools.groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])
    found = [[number for _, number in run] for _, run in runs]
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found)
