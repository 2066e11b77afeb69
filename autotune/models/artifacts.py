"""The preparations of a trial: reference outputs, its backend's model, its accuracy; each is made once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from autotune.core import plugins
from autotune.core.answers import Accuracy
from autotune.core.config import Config
from autotune.core.finding import Finding
from autotune.core.machine import Hardware
from autotune.core.protocol import ACCURACY, FINDINGS, ROWS, PrepareJob, Rows
from autotune.core.rules import MeasureRules
from autotune.core.struct import digest
from autotune.core.workload_spec import WorkloadSpec
from autotune.models import data, workload
from autotune.models.artifact_cache import WAIT_S, Artifact, Wanted, get_or_make

Run = Callable[[PrepareJob, str], None]
"""Runs a preparation in a clean child and says what it makes; raises PreparationFailed."""

PREPARED = 5
"""A part of every key: raise it when what a backend prepares changes."""


def reference(
    spec: WorkloadSpec, hw: Hardware, rules: MeasureRules, run: Run, cache: Path, wait_s: float = WAIT_S
) -> Artifact | None:
    """The outputs of the plain float32 model on the first samples, against which every trial is checked.

    Where there are labels, also its answers to all that is judged. None for a command, whose outputs nobody sees.
    """
    if workload.provider(spec).form == "command":
        return None
    metric = data.metric_key(spec.labelled) if spec.labelled else None
    asked = (metric, rules.verify_samples, rules.verify_most, spec.batch_size)
    made_from = (workload.cache_key(spec), asked, _versions(spec, hw))
    wanted = _wanted((PREPARED, "reference", made_from), f"reference outputs of {spec.model}", spec)

    def make(folder: Path) -> None:
        run(PrepareJob(key=wanted.key, workload=spec, hardware=hw, rules=rules, folder=str(folder)), wanted.what)

    return get_or_make(wanted, make, cache, wait_s)


def different_rows(reference: Artifact) -> int:
    """How many different real rows the workload has whose reference was made; 0 where its inputs are made up."""
    return msgspec.json.decode((Path(reference.folder) / ROWS).read_bytes(), type=Rows).different


def findings(reference: Artifact) -> tuple[Finding, ...]:
    """What the check of the model found when its reference outputs were made."""
    return msgspec.json.decode((Path(reference.folder) / FINDINGS).read_bytes(), type=tuple[Finding, ...])


def ensure(
    spec: WorkloadSpec,
    config: Config,
    hw: Hardware,
    rules: MeasureRules,
    run: Run,
    cache: Path,
    wait_s: float = WAIT_S,
) -> Artifact | None:
    """The backend's model for this configuration, and first what it is made from; None if it needs no preparation.

    Of the options and the machine, only what the backend's `cache_key` returns tells artifacts apart.
    """
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    hw = hw.seen_by(config.interpreter)
    parts = backend.cache_key(options, config, hw)
    if parts is None:
        return None
    source = None
    if (origin := backend.source(options)) is not None:
        other = msgspec.structs.replace(config, backend=origin[0], options=origin[1])
        source = ensure(spec, other, hw, rules, run, cache, wait_s)
    made_from = source.ref.key if source else _versions(spec, hw)
    made_of = (PREPARED, config.backend, workload.cache_key(spec), parts, made_from)
    wanted = _wanted(made_of, f"{_named(config)} of {spec.model}", spec)

    def make(folder: Path) -> None:
        job = PrepareJob(
            key=wanted.key,
            workload=spec,
            hardware=hw,
            rules=rules,
            folder=str(folder),
            backend=config.backend,
            config=config,
            source=source.folder if source else None,
        )
        run(job, wanted.what)

    return get_or_make(wanted, make, cache, wait_s)


def accuracy(
    spec: WorkloadSpec, config: Config, hw: Hardware, rules: MeasureRules, run: Run, cache: Path
) -> Accuracy | None:
    """The accuracy of a configuration's answers by the samples' labels, and that of the reference; None without labels.

    Of the knobs only those that change answers count: the others' values share it. All cores compute it.
    """
    if spec.labelled is None or (plain := reference(spec, hw, rules, run, cache)) is None:
        return None
    model = ensure(spec, config, hw, rules, run, cache)
    judged = [name for name in config.knobs if getattr(plugins.load("knobs", name), "changes_answers", False)]
    knobs = {name: config.knobs[name] for name in judged}
    versions = _installed(plugins.load("backends", config.backend).packages, hw.seen_by(config.interpreter))
    answering = (config.backend, config.options, config.workload, knobs, model.ref.key if model else None, versions)
    made_of = (PREPARED, "accuracy", plain.ref.key, answering, hw.architecture, hw.isa)
    wanted = _wanted(made_of, f"accuracy of {_named(config)} of {spec.model}", spec)

    def make(folder: Path) -> None:
        job = PrepareJob(
            key=wanted.key,
            workload=spec,
            hardware=hw.seen_by(config.interpreter),
            rules=rules,
            folder=str(folder),
            backend=config.backend,
            config=msgspec.structs.replace(config, knobs={"layout": f"1x{len(hw.cores)}", **knobs}),
            source=model.folder if model else None,
            reference=plain.folder,
        )
        run(job, wanted.what)

    found = get_or_make(wanted, make, cache, WAIT_S)
    return msgspec.json.decode((Path(found.folder) / ACCURACY).read_bytes(), type=Accuracy)


def _wanted(made_of: tuple[object, ...], what: str, spec: WorkloadSpec) -> Wanted:
    return Wanted(key=digest(made_of), what=what, workload=workload.identity(spec))


def _named(config: Config) -> str:
    """The backend and those of its options that people tell models apart by."""
    named = [str(config.options[option]) for option in ("memory_format", "precision") if option in config.options]
    return " ".join((config.backend, *named))


def _installed(packages: Iterable[str], hw: Hardware) -> list[tuple[str, str | None]]:
    return [(name, hw.packages.get(name)) for name in packages]


def _versions(spec: WorkloadSpec, hw: Hardware) -> list[tuple[str, str | None]]:
    return _installed(workload.provider(spec).packages, hw)
