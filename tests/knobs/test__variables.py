from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.knobs import _variables
from tests.machines import write


def process(root: Path, *entries: str) -> Path:
    return write(root, {"/proc/self/environ": "\0".join(entries).encode() + b"\0"})


def test_the_start_counts_and_a_value_may_hold_anything(tmp_path: Path) -> None:
    assert _variables.started(process(tmp_path, "A=1", "B=x=y", "C=", "noise")) == {"A": "1", "B": "x=y", "C": ""}


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"A": "1", "C": None}, None),
        ({"B": "x=y"}, None),
        ({"A": "2"}, "A was 1 at the start, not 2"),
        ({"C": "2"}, "C was not set at the start, not 2"),
        ({"A": None}, "A was 1 at the start, not unset"),
    ],
)
def test_mismatch(tmp_path: Path, wanted: dict[str, str | None], reason: str | None) -> None:
    assert _variables.mismatch(wanted, process(tmp_path, "A=1", "B=x=y")) == reason


def test_what_cannot_be_read_is_not_proven(tmp_path: Path) -> None:
    assert (_variables.mismatch({}, tmp_path) or "").startswith("the environment cannot be proven")


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (("A=1",), []),
        (("GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.arena_max=2", "A=1"), ["hugetlb=1", "arena_max=2"]),
        (("GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "glibc.malloc.arena_max=2", "A=1"), ["hugetlb=1", "arena_max=2"]),
    ],
)
def test_tunables_whole_or_cut_up(tmp_path: Path, entries: tuple[str, ...], found: list[str]) -> None:
    assert _variables.tunables(process(tmp_path, *entries)) == [f"glibc.malloc.{setting}" for setting in found]


def test_what_the_process_changes_later_does_not_count() -> None:
    script = (
        "import os; os.environ['X'] = '2'; from autotune.knobs import _variables as v; print(v.mismatch({'X': '1'}))"
    )
    environ = {**os.environ, "X": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
