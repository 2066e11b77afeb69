from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core import bounded_log

KEPT = bounded_log.KEPT_BYTES


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def left_out(text: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"autotune left out +(\d+) bytes here", text)]


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    log = written(tmp_path / "log", b"x" * 2 * KEPT)
    bounded_log.cut(log)
    assert log.read_bytes() == b"x" * 2 * KEPT


def test_the_middle_of_a_long_one_is_left_out_and_counted(tmp_path: Path) -> None:
    log = written(tmp_path / "log", b"first\n", b"." * 3 * KEPT, b"last\n")
    bounded_log.cut(log)
    text = log.read_bytes()
    assert text.startswith(b"first\n") and text.endswith(b"last\n")
    (count,) = left_out(text)
    assert count == 3 * KEPT + 11 - 2 * KEPT
    assert len(text) < 2 * KEPT + 100


def test_what_is_allowed_is_not_cut(tmp_path: Path) -> None:
    log = written(tmp_path / "log", b"." * 3 * KEPT)
    bounded_log.cut(log, 4 * KEPT)
    assert log.stat().st_size == 3 * KEPT
    bounded_log.cut(log, 3 * KEPT - 1)
    assert log.stat().st_size < 3 * KEPT


def test_a_writer_that_appends_goes_on_behind(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab", buffering=0) as writer:
        writer.write(b"first\n" + b"." * 3 * KEPT)
        bounded_log.cut(tmp_path / "log")
        writer.write(b"last\n")
    text = (tmp_path / "log").read_bytes()
    assert b"\0" not in text
    assert text.endswith(b"....last\n")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "log"


@given(parts=st.lists(st.integers(1, 3000), min_size=1, max_size=8))
def test_cut_again_and_again_it_counts_all_that_was_left_out(log: Path, parts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_log, "KEPT_BYTES", 100)
        log.write_bytes(b"")
        for number, length in enumerate(parts):
            with log.open("ab") as writer:
                writer.write(bytes([65 + number]) * length)
            bounded_log.cut(log, 300)
    text, everything = log.read_bytes(), b"".join(bytes([65 + at]) * length for at, length in enumerate(parts))
    assert len(text) <= 300
    assert text[:100] == everything[:100] and text[-100:] == everything[-100:]
    kept = len(text) - sum(len(bounded_log.CUT % 0) for _ in left_out(text))
    assert kept + sum(left_out(text)) == len(everything)
