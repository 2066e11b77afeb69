"""A `Best` as text: `best.json`, and the forms of what starts it."""

from __future__ import annotations

import importlib
from pathlib import Path

from autotune.core.best import Best
from autotune.core.errors import StudyError, did_you_mean
from autotune.core.files import write_atomically


def write(path: Path, exported: Best) -> None:
    """Write `best.json`, whole or not at all."""
    write_atomically(path, text(exported, "json").encode())


def save(path: Path, text: str) -> None:
    """Write what a user asked for into a file of theirs, whole or not at all; StudyError where it cannot be."""
    try:
        # Names of files need not be text: what stands for their bytes is written as a question mark.
        write_atomically(path, text.encode(errors="replace"))
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {error.strerror}; choose another with -o FILE") from error


def formats() -> tuple[str, ...]:
    """The forms that `text` knows: the files of `forms`, sorted."""
    files = (Path(__file__).parent / "forms").glob("[!_]*.py")
    return tuple(sorted(file.stem for file in files))


def text(exported: Best, form: str) -> str:
    """A configuration in one of `formats()`; StudyError names the forms, or says why this one does not fit it."""
    if form not in formats():
        raise StudyError(f"unknown format {form!r}{did_you_mean(form, formats())}")
    written: str = importlib.import_module(f"autotune.report.export.forms.{form}").text(exported)
    return written
