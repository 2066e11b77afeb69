"""A study's folder, which alone is enough to make every table again.

space.yaml hardware.json domains.json      the space, the machine, the resolved domains; written when it begins
study.db                                   Optuna's storage, unless --storage names another
earlier.json                               the configurations of earlier studies that it tried first (transfer.py)
findings.json                              what the check of the model found before the first trial
elapsed.json                               how long the study has run, over all its runs
options.json                               options of its last run that say how it is made again
trials/00017/                              spec.json result.json stdout.log stderr.log latencies.npy
confirmation.json confirmation/            the claim, and the interleaved runs that it is made from
lock                                       held, with its process id inside, while a coordinator writes

Reading needs no lock: every file is written whole, and the coordinator is the only writer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from autotune.core.confirmation import Confirmation
from autotune.core.errors import StudyError
from autotune.core.files import write_atomically
from autotune.core.finding import Finding
from autotune.core.machine import Hardware
from autotune.core.results import TrialResult
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.core.struct import FORMAT, Struct
from autotune.study.storage import upgrade

T = TypeVar("T")


class Elapsed(Struct):
    """The wall time of all runs of a study."""

    elapsed_s: float = 0.0
    format: int = FORMAT


class Findings(Struct):
    """What the check of the model found."""

    findings: tuple[Finding, ...]
    format: int = FORMAT


class Options(Struct):
    """The options of a run that are not in its space: `storage` is a URL without its password, None the own.

    `begin_with` are the studies of `--from`, and `sampler` is None where none was named.
    """

    storage: str | None = None
    skip_confirmation: bool = False
    begin_with: tuple[str, ...] = ()
    sampler: str | None = None
    format: int = FORMAT


class _Versioned(msgspec.Struct):
    format: int = FORMAT


def exists(folder: Path) -> bool:
    """True if the folder holds a study."""
    return (folder / "domains.json").exists()


def space(folder: Path) -> Space:
    """The space as it was resolved when the study began; what that version did not know is at its default."""
    return decode(folder / "domains.json", Space, then=upgrade.space)


def hardware(folder: Path) -> Hardware:
    """The machine on which the study began."""
    return decode(folder / "hardware.json", Hardware)


def text(folder: Path) -> str | None:
    """The space file that the study began with; None if somebody removed it."""
    path = folder / "space.yaml"
    return path.read_text(encoding="utf-8") if path.exists() else None


def elapsed_s(folder: Path) -> float:
    """The seconds that the study has run so far; 0 for one that never ended a trial."""
    path = folder / "elapsed.json"
    return decode(path, Elapsed).elapsed_s if path.exists() else 0.0


def write_elapsed(folder: Path, seconds: float) -> None:
    """Keep the seconds that the study has run."""
    write_atomically(folder / "elapsed.json", encode(Elapsed(elapsed_s=round(seconds, 3))))


def findings(folder: Path) -> tuple[Finding, ...]:
    """What the check of the model found; nothing of a study from before there was one."""
    path = folder / "findings.json"
    return decode(path, Findings, "delete it").findings if path.exists() else ()


def write_findings(folder: Path, found: tuple[Finding, ...]) -> None:
    """Keep what the check of the model found."""
    write_atomically(folder / "findings.json", encode(Findings(findings=found)))


def options(folder: Path) -> Options:
    """The options of the study's last run."""
    path = folder / "options.json"
    return decode(path, Options, "delete it") if path.exists() else Options()


def write_options(folder: Path, options: Options) -> None:
    """Keep the options of a run."""
    write_atomically(folder / "options.json", encode(options))


def trial_folder(number: int) -> str:
    """The folder of a trial's files, relative to the study."""
    return f"trials/{number:05d}"


def numbers(folder: Path) -> list[int]:
    """The trials that were begun, in order."""
    return sorted(int(path.name) for path in (folder / "trials").glob("[0-9]*") if path.name.isdecimal())


def results(folder: Path) -> list[TrialResult]:
    """All results in the order of their trials; StudyError names a file that cannot be read."""
    return [found for number in numbers(folder) if (found := result(folder, number)) is not None]


def result(folder: Path, number: int) -> TrialResult | None:
    """A trial's result; None while it has none."""
    path = folder / trial_folder(number) / "result.json"
    if not path.exists():
        return None
    return decode(path, TrialResult, "delete it, and the trial is measured again", upgrade.result)


def write_result(folder: Path, result: TrialResult) -> None:
    """Keep the result of a trial that could not write its own."""
    write_atomically(folder / result.spec.folder / "result.json", encode(result))


def confirmation(folder: Path) -> Confirmation | None:
    """The confirmation; None while there is none."""
    path = folder / "confirmation.json"
    advice = "delete it, and run the study again"
    return decode(path, Confirmation, advice, upgrade.confirmation) if path.exists() else None


def write_confirmation(folder: Path, found: Confirmation | None) -> None:
    """Keep a confirmation; None removes an earlier one."""
    path = folder / "confirmation.json"
    if found is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, encode(found))


def reopen_confirmation(folder: Path) -> None:
    """Let the next confirmation compare anew: a claim stays, as unfinished; a confirmation without one is removed."""
    found = confirmation(folder)
    if found is not None:
        write_confirmation(folder, msgspec.structs.replace(found, finished=False) if found.confirmed else None)


def spec(folder: Path, number: int) -> TrialSpec | None:
    """The spec of a trial that was begun; None where it was ended before that was written."""
    path = folder / trial_folder(number) / "spec.json"
    return decode(path, TrialSpec, "delete its folder", upgrade.spec) if path.exists() else None


def encode(value: Any) -> bytes:
    """JSON that people can read, too."""
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def decode(
    path: Path,
    kind: type[T],
    advice: str = "choose another --name to begin a new study",
    then: Callable[[T], T] = lambda read: read,
) -> T:
    """A file of the study, as `then` completes it; StudyError where it is missing, damaged or too new.

    The error names the file and what to do: `advice`.
    """
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Versioned).format
        if version > FORMAT:
            raise StudyError(
                f"{path} has format {version}; this version of autotune reads up to {FORMAT}; update autotune"
            )
        return then(msgspec.json.decode(data, type=kind))
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}; {advice}") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise StudyError(f"{path} is damaged: {error}; {advice}") from error
