"""`best.json` as it is read again: whole, of this or an earlier version, changed by hand or carried elsewhere."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Config, Layout
from autotune.core.errors import AutotuneError, StudyError
from autotune.core.machine import Hardware
from autotune.knobs import layout
from autotune.space import configs, values
from autotune.study.storage import store

PREFIX = "numactl"
"""The only program that a setting puts before the user's."""

ADVICE = "write it again with `python -m autotune export STUDY`"


def read(path: Path) -> Best:
    """The content of a `best.json`, settings that its version did not know at their defaults.

    StudyError, one line, names the file and the key: missing, damaged, of a newer version, an unknown key, a value of
    the wrong type or one that is not legal.
    """
    if not path.exists():
        known = ", ".join(map(str, sorted(Path("studies").glob("*/best.json"))))
        raise StudyError(f"there is no file {path}; {f'there are {known}' if known else ADVICE}")
    if path.is_dir():
        raise StudyError(f"{path} is a folder; name the best.json in it")
    found = store.decode(path, Best, ADVICE)
    try:
        completed = msgspec.structs.replace(
            found,
            config=_completed(found.config, "config"),
            baseline=found.baseline and _completed(found.baseline, "baseline"),
        )
    except AutotuneError as error:
        raise StudyError(f"{path}: {error}; {ADVICE}") from None
    if reason := _wrong(completed):
        raise StudyError(f"{path}: {reason}; {ADVICE}")
    return completed


def differences(best: Best, hw: Hardware) -> list[str]:
    """In what this machine is not the tuned one, a line each: processor, cores, what cannot be had here, versions."""
    missing = blocking(best, hw)
    settings = [(name, plugins.load("knobs", name).unavailable(value, hw)) for name, value in best.config.knobs.items()]
    lacking = [f"{name}: {reason}" for name, reason in settings if reason and not any(reason in one for one in missing)]
    return [*_machine(best.hardware, hw), *missing, *lacking, *_versions(best, hw)]


def blocking(best: Best, hw: Hardware) -> list[str]:
    """The missing things without which production is not what was measured: cores, libraries to preload, numactl."""
    reason = layout.unavailable(str(best.config.layout), hw)
    absent = [path for path in best.preload if not os.path.isfile(path)]
    return [
        *([f"layout: {reason}"] if reason else []),
        *(f"preload: {path} is missing{_remedy(best, hw, path)}" for path in absent),
        *(
            []
            if starts(best.argv_prefix)
            else [f"argv_prefix: there is no program {best.argv_prefix[0]!r}; install it"]
        ),
    ]


def starts(argv_prefix: tuple[str, ...]) -> bool:
    """True if the program before the program can be had, or there is none."""
    return not argv_prefix or shutil.which(argv_prefix[0]) is not None


def _completed(config: Config, key: str) -> Config:
    """The configuration with every setting of today; AutotuneError names the setting that is not legal."""
    if config.workload.batch_size < 1:
        raise StudyError(f"{key}.workload.batch_size is {config.workload.batch_size}; allowed: a whole number from 1")
    if "layout" not in config.knobs:
        raise StudyError(f"{key}.knobs has no 'layout'")
    whole = configs.configure(
        configs.NOWHERE,
        batch_size=config.workload.batch_size,
        backend=config.backend,
        options=config.options,
        knobs=config.knobs,
    )
    for name, value in whole.knobs.items():
        if allowed := values.illegal(name, value):
            raise StudyError(f"{key}.knobs.{name} is {value!r}; allowed: {allowed}")
    return whole


def _wrong(best: Best) -> str | None:
    """The first value that no autotune writes, or None."""
    if best.workload.provider not in plugins.names("workloads"):
        return (
            f"workload.model is {best.workload.model!r}; allowed: {', '.join(plugins.names('workloads'))}, then a name"
        )
    return next(_wrong_layout(best), None) or next(_wrong_text(best), None)


def _wrong_layout(best: Best) -> Iterator[str]:
    asked: Layout = best.config.layout
    if len(best.layout) != asked.workers:
        yield f"layout has {len(best.layout)} workers, and config.knobs.layout is {asked}"
    taken: set[int] = set()
    for rank, place in enumerate(best.layout):
        if place.threads != asked.threads:
            yield f"layout[{rank}].threads is {place.threads}, and config.knobs.layout is {asked}"
        if len(set(place.cpus)) != place.threads or min(place.cpus, default=0) < 0:
            yield f"layout[{rank}].cpus is {list(place.cpus)}; allowed: {place.threads} numbers of CPUs"
        if shared := taken & set(place.cpus):
            yield f"layout[{rank}].cpus has CPU {min(shared)}, which another worker has, too"
        taken |= set(place.cpus)


def _wrong_text(best: Best) -> Iterator[str]:
    for name, value in best.environment.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            yield f"environment has {name!r}; allowed: letters, digits and '_'"
        if name == "LD_PRELOAD":
            yield "environment has LD_PRELOAD; libraries stand under preload"
        if value is not None and "\0" in value:
            yield f"environment.{name} has a zero byte"
    for path in best.preload:
        if not re.fullmatch(r"/[^\s:\0]+", path):
            yield f"preload has {path!r}; allowed: a path from the root without white space and ':'"
    if any("\0" in word or not word for word in best.argv_prefix):
        yield "argv_prefix has an empty word or a zero byte"
    elif best.argv_prefix and Path(best.argv_prefix[0]).name != PREFIX:
        yield f"argv_prefix starts {best.argv_prefix[0]!r}; allowed: {PREFIX}, and what is said to it"


def _machine(tuned: Hardware, hw: Hardware) -> Iterator[str]:
    if hw.cpu_model != tuned.cpu_model:
        lacking = sorted(set(tuned.isa) - set(hw.isa))
        without = f", without {', '.join(lacking)}" if lacking else ""
        yield f"tuned on {tuned.cpu_model}; this is {hw.cpu_model}{without}"
    if len(hw.cores) != len(tuned.cores):
        yield f"tuned with {len(tuned.cores)} usable cores; here are {len(hw.cores)}"


def _versions(best: Best, hw: Hardware) -> Iterator[str]:
    interpreter = best.config.interpreter
    if not hw.has(interpreter):
        return  # that it is missing is said already
    installed = hw.seen_by(interpreter).packages
    for name, version in best.versions.items():
        if name != "python" and installed.get(name) != version:
            yield f"tuned with {name} {version}; here is {installed.get(name, 'none')}"


def _remedy(best: Best, hw: Hardware, path: str) -> str:
    """The remedy for a missing library: install it, or name it where this machine has it."""
    for name, value in best.config.knobs.items():
        knob = plugins.load("knobs", name)
        if knob.unavailable(value, best.hardware) or path not in (there := knob.launch(value, best.hardware).preload):
            continue
        if reason := knob.unavailable(value, hw):
            return f"; {reason}"
        return f"; it is at {knob.launch(value, hw).preload[there.index(path)]} here: write that under 'preload'"
    return "; install it, or take it out of 'preload'"
