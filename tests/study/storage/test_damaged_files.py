"""A study of which bytes were flipped, added or lost is read rightly or refused in one line, never with a traceback."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from autotune.apply import best_file
from autotune.cli import study_commands
from autotune.core.errors import AutotuneError
from autotune.core.finding import Finding
from autotune.core.results import InterleavedRun
from autotune.report import lookup, report_formats
from autotune.report.text import dataframe
from autotune.study.storage import store
from tests.test_former_study import FORMER

RUN = "confirmation/finalists-f9efb3b1/0001/sitting.json"
FILES = (
    "domains.json",
    "hardware.json",
    "elapsed.json",
    "findings.json",
    "options.json",
    "best.json",
    "confirmation.json",
    "trials/00010/result.json",
    RUN,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the former study, with the options that a later run kept."""
    folder = Path(shutil.copytree(FORMER, tmp_path_factory.mktemp("damaged") / "study"))
    store.write_options(folder, store.Options(begin_with=("other",)))
    store.write_findings(folder, (Finding(what="memory grows", instead="empty the list"),))
    return folder


def read(folder: Path) -> None:
    """Read all that commands read of a study, and print it."""
    best_file.read(folder / "best.json")
    store.decode(folder / RUN, InterleavedRun)
    store.elapsed_s(folder)
    store.options(folder)
    store.findings(folder)
    found = lookup.find(str(folder), folder.parent)
    study_commands.print_study(Console(file=io.StringIO()), found)
    dataframe.frame(found)
    report_formats.FORMATS["json"](found)
    lookup.best(found, None)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(at=0.0, kept=0, written=b"")
@example(at=0.0, kept=0, written=b"\xff")
@example(at=0.0, kept=1, written=b"[")
@example(at=0.5, kept=0, written=b"")
@given(at=st.floats(0, 1), kept=st.sampled_from([0, 1, 2, 5, 60]), written=st.binary(max_size=4))
def test_damage_ends_in_one_line(name: str, study: Path, at: float, kept: int, written: bytes) -> None:
    """`written` in place of `kept` bytes at a part of the file; of none, the file ends there."""
    path = study / name
    whole = path.read_bytes()
    place = int(at * len(whole))
    damaged = whole[:place] + written + (whole[place + kept :] if kept else b"")
    assert_refused_or_read(study, path, whole, damaged)


def assert_refused_or_read(study: Path, path: Path, whole: bytes, damaged: bytes) -> None:
    path.write_bytes(damaged)
    try:
        read(study)
    except AutotuneError as error:
        assert str(error) and "\n" not in str(error)
    finally:
        path.write_bytes(whole)


NUMBERS = (b"0", b"-1", b"1e999", b"-0.0", b"1e308", b"9" * 30, b"null", b'"x"', b"[]", b"{}", b'"\\u0000"')


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 2000), value=st.sampled_from(NUMBERS))
def test_a_value_of_another_kind_or_size_ends_in_one_line(name: str, study: Path, which: int, value: bytes) -> None:
    """One of the values of the file, `which` of them, is another one."""
    path = study / name
    whole = path.read_bytes()
    lines = whole.split(b"\n")
    valued = [index for index, line in enumerate(lines) if line.rstrip(b",")[-1:] not in b"{}[]"]
    index = valued[which % len(valued)]
    key, colon, _ = lines[index].rpartition(b": ")
    lines[index] = key + colon + value + (b"," if lines[index].endswith(b",") else b"")
    assert_refused_or_read(study, path, whole, b"\n".join(lines))
