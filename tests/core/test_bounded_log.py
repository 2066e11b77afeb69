from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core import bounded_log

KEPT = bounded_log.KEPT_BYTES


def written(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


def test_a_short_log_stays_as_it_is(tmp_path: Path) -> None:
    log = written(tmp_path / "log", b"x" * 2 * KEPT)
    bounded_log.free(log)
    bounded_log.cut(log)
    assert log.read_bytes() == b"x" * 2 * KEPT


def test_the_middle_of_a_long_one_is_left_out_and_counted(tmp_path: Path) -> None:
    log = written(tmp_path / "log", b"first\n", b"." * 3 * KEPT, b"last\n")
    bounded_log.cut(log)
    text = log.read_bytes()
    assert text.startswith(b"first\n") and text.endswith(b"last\n")
    assert b"\n[autotune left out %d bytes here]\n" % (KEPT + 11) in text
    assert len(text) < 2 * KEPT + 100


@pytest.mark.parametrize("holes", [True, False])
def test_a_writer_goes_on_and_its_disk_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holes: bool
) -> None:
    monkeypatch.setattr(bounded_log, "ALLOWED_BYTES", 3 * KEPT)
    if not holes:
        monkeypatch.setattr(bounded_log, "_fallocate", lambda *_: -1)
    log = tmp_path / "log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"first\n" + b"." * 5 * KEPT)
        bounded_log.free(log)
        assert log.stat().st_blocks * 512 <= 3 * KEPT
        writer.write(b"last\n")
    bounded_log.cut(log)
    text = log.read_bytes()
    assert text.startswith(b"first\n...") and text.endswith(b"...last\n")
    assert b"\0" not in text
    assert (b"left out" in text) is holes


@given(st.integers(0, 5000), st.integers(1, 1000))
def test_whatever_is_left_out_is_counted(size: int, kept: int) -> None:
    everything = bytes(65 + at % 26 for at in range(size))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded_log, "KEPT_BYTES", kept)
        log = written(Path(folder) / "log", everything)
        bounded_log.cut(log)
        text = log.read_bytes()
    assert len(text) <= max(size, 0)
    assert text[:kept] == everything[:kept] and text[-kept:] == everything[-kept:]
    if text != everything:
        counted = re.fullmatch(rb"[A-Z]*\n\[autotune left out (\d+) bytes here\]\n[A-Z]*", text)
        assert counted is not None and int(counted[1]) == size - 2 * kept
