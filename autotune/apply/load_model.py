"""`best.json` in the user's own process: the model as it was measured, as far as a running process can have it."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from autotune.apply import best_file
from autotune.apply.loaded_model import LoadedModel, one_line
from autotune.apply.plain_progress import PlainProgress
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.errors import AutotuneError, ModelError
from autotune.core.interfaces import Session
from autotune.core.machine import OWN, Hardware
from autotune.core.results import ArtifactRef
from autotune.core.rules import MeasureRules, within
from autotune.core.struct import digest
from autotune.hardware import probe
from autotune.launch.loading import WorkerContext
from autotune.models import artifact_cache, artifacts, digests
from autotune.models.artifact_cache import PreparationFailed
from autotune.models.workload import BuiltWorkload

if TYPE_CHECKING:
    from autotune.core.rows import Arrays

log = logging.getLogger("autotune")
STARTED_BY_RUN = "AUTOTUNE_RANK"
"""The variable that `python -m autotune run` gives each worker."""


def load(
    path: str | os.PathLike[str], *, strict: bool = False, input_names: Sequence[str] | None = None
) -> LoadedModel:
    """The model of a `best.json`, loaded and called once: threads, precision and memory format are those measured.

    The prepared model is the cache's, or is prepared again in a child process. What a running process cannot take on
    (preloaded libraries, variables that were read when it began, CPUs) is named in one warning; with `strict` it is an
    AutotuneError. `input_names` are the keys of a batch that is given as a dict, by default the model's own. ModelError
    if the model cannot be had, AutotuneError if the file is none or this machine cannot honour it.
    """
    best, hw = best_file.read(Path(path)), probe.probe()
    # The environment that this process runs in was decided when it began.
    config = msgspec.structs.replace(best.config, knobs=best.config.knobs | {"interpreter": OWN})
    if reason := _reason_against(config, hw):
        raise AutotuneError(f"{os.fspath(path)} cannot be loaded here: {reason}")
    cache = artifact_cache.default_folder()
    prepared, notes = _prepared_model(best, config, hw, cache)
    built = BuiltWorkload(best.workload)
    session, example, missing = _open_session(built, config, hw, prepared, cache)
    missing = [*_not_in_effect(best.config, hw), *missing]
    if strict and missing:
        session.close()
        raise AutotuneError(_warning(path, missing, []))
    notes += [] if STARTED_BY_RUN in os.environ else best_file.differences(best, hw)
    if missing or notes:
        warnings.warn(_warning(path, missing, notes), stacklevel=2)
    return LoadedModel(best, session, input_names, example, built.batch_axes if example else ())


def _warning(path: str | os.PathLike[str], missing: Sequence[str], notes: Sequence[str]) -> str:
    """One line: what is not in effect, what differs, and what to do about each."""
    name = shlex.quote(os.fspath(path))
    parts = [os.fspath(path)]
    if missing:
        parts.append(f"not in effect in this process: {'; '.join(missing)}; start it as `{_run_command(name)}`")
    if notes:
        parts.append(f"not as it was measured: {'; '.join(notes)}; `python -m autotune verify {name}` measures it here")
    return ": ".join([parts[0], "; ".join(parts[1:])])


def _run_command(name: str) -> str:
    return f"python -m autotune run {name} -- PROGRAM"


def _reason_against(config: Config, hw: Hardware) -> str | None:
    """The reason why a process of this machine cannot run the configuration at all, or None."""
    backend = plugins.load("backends", config.backend)
    if "command" in backend.runs:
        return "it runs a program, which `python -m autotune run` starts"
    if reason := backend.unavailable(plugins.backend_options(config.backend, dict(config.options)), hw):
        return f"{config.backend}: {reason}"
    threads, cores = config.layout.threads, len(hw.cores)
    if STARTED_BY_RUN not in os.environ and threads > cores:
        return f"a worker has {threads} threads, and this process may use {cores} cores; tune it on this machine"
    return None


# ----------------------------------------------------------------------------------------------- the prepared model


def _prepared_model(best: Best, config: Config, hw: Hardware, cache: Path) -> tuple[Path | None, list[str]]:
    """The prepared model's folder (None where there is nothing to prepare), and what is to be said of it."""
    rules = within(MeasureRules(), best.limits)
    run = WorkerContext(hw, cache, PlainProgress(log.info)).prepare(rules, None)
    try:
        found = artifacts.ensure(best.workload, config, hw, rules, run, cache)
    except PreparationFailed as error:
        raise ModelError(f"the model cannot be prepared here: {error}") from error
    except ModelError as error:
        if best.artifact is None or (kept := _in_cache(best.artifact, cache)) is None:
            raise
        return kept, [f"the prepared model is used alone, since {error}"]
    if found is None:
        return None, []
    measured = best.artifact
    if measured is None or measured.sha256 == found.ref.sha256:
        return Path(found.folder), []
    if measured.key == found.ref.key:
        return Path(found.folder), ["the prepared model was made again from the same, and its files differ"]
    return Path(found.folder), ["the prepared model is another: the model, the versions or the CPU have changed"]


def _in_cache(measured: ArtifactRef, cache: Path) -> Path | None:
    """The very files that were measured, where the cache has them."""
    folder = cache / "artifacts" / measured.key
    return folder if digest(digests.of_folder(folder, artifact_cache.MANIFEST)) == measured.sha256 else None


# ----------------------------------------------------------------------------------------------------- the session


def _open_session(
    built: BuiltWorkload, config: Config, hw: Hardware, prepared: Path | None, cache: Path
) -> tuple[Session, Arrays, list[str]]:
    """The loaded model after a first call, which may compile it, that call's batch (nothing where the inputs' source is
    gone: then the user's first call is the first), and what its backend finds not in effect.
    """
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    with _variables(backend.launch(options, config, hw).env, cache):
        try:
            session = backend.load(built, options, config, prepared)
        except AutotuneError:
            raise
        except Exception as error:
            raise ModelError(f"{config.backend} cannot load the model: {one_line(error)}") from error
        example: Arrays = ()
        with contextlib.suppress(ModelError):
            example = built.arrays(config.workload.batch_size)
            session(session.convert(example))
        reason = backend.applied(session, options, config)
    return session, example, [] if reason is None else [f"{config.backend}: {reason}"]


def _not_in_effect(config: Config, hw: Hardware) -> list[str]:
    """A line for every knob that has no effect in this process."""
    whole = msgspec.structs.replace(hw, allowed_cpus=tuple(cpu.id for cpu in hw.cpus), cpu_quota=None)
    found = []
    for name, value in config.knobs.items():
        knob = plugins.load("knobs", name)
        if reason := knob.unavailable(value, whole) or knob.applied(value, hw):
            found.append(f"{name}: {reason}")
    return found


@contextlib.contextmanager
def _variables(asked: Mapping[str, str | None], cache: Path) -> Iterator[None]:
    """The backend's variables while it loads and compiles; then the process has its own again."""
    before, folder = {name: os.environ.get(name) for name in asked}, tempfile.tempdir
    _set_variables({name: value and value.replace("{cache}", str(cache)) for name, value in asked.items()})
    try:
        yield
    finally:
        _set_variables(before)
        tempfile.tempdir = folder  # it may have been decided meanwhile, from TMPDIR


def _set_variables(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
