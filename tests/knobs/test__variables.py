from __future__ import annotations

from pathlib import Path

from autotune.knobs import _variables
from tests.machines import write


def process(root: Path, *entries: str) -> Path:
    return write(root, {"/proc/self/environ": "\0".join(entries).encode() + b"\0"})


def test_the_start_counts_and_a_value_may_hold_anything(tmp_path: Path) -> None:
    assert _variables.started(process(tmp_path, "A=1", "B=x=y", "C=", "noise")) == {"A": "1", "B": "x=y", "C": ""}


def test_tunables_that_glibc_cut_up_are_found_again(tmp_path: Path) -> None:
    root = process(tmp_path, "GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "glibc.malloc.mmap_max=0", "A=1")
    assert _variables.tunables(root) == ["glibc.malloc.hugetlb=1", "glibc.malloc.mmap_max=0"]
    whole = process(tmp_path / "whole", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_max=0")
    assert _variables.tunables(whole) == ["glibc.malloc.hugetlb=1", "glibc.malloc.mmap_max=0"]


def test_a_mismatch_is_named(tmp_path: Path) -> None:
    root = process(tmp_path, "A=1", "B=2")
    assert _variables.mismatch({"A": "1", "C": None}, root) is None
    assert _variables.mismatch({"A": "2"}, root) == "A was 1 at the start, not 2"
    assert _variables.mismatch({"B": None}, root) == "B was 2 at the start, not unset"
    assert _variables.mismatch({"C": "3"}, root) == "C was not set at the start, not 3"
    assert "cannot be proven" in (_variables.mismatch({"A": "1"}, tmp_path / "nowhere") or "")
