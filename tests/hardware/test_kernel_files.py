from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.hardware.kernel_files import cpu_list, read
from tests import machines


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 20)), min_size=1, max_size=8))
def test_a_list_of_cpus_is_its_ranges_one_after_the_other(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" if more else str(first) for first, more in ranges)
    assert cpu_list(text) == tuple(cpu for first, more in ranges for cpu in range(first, first + more + 1))


@given(st.sets(st.integers(0, 5000), min_size=1))
def test_every_set_of_cpus_can_be_written(cpus: set[int]) -> None:
    assert cpu_list(machines.listed(sorted(cpus))) == tuple(sorted(cpus))


@given(st.text("0123456789-, x\n", max_size=8))
def test_any_text_is_a_list_of_cpus_or_empty(text: str) -> None:
    assert all(cpu >= 0 for cpu in cpu_list(text[:6]))


@pytest.mark.parametrize("text", ["", " ", ",", "0,", ",0", "-1", "-", "a", "0-a", "1-2-3", "0x1", "1.5", "0 1", "²"])
def test_anything_else_is_no_list_of_cpus(text: str) -> None:
    assert cpu_list(text) == ()


@pytest.mark.parametrize("text", ["0-2,8", " 0-2 , 8\n", "0,1,2,8", "00-02,08"])
def test_spaces_and_zeros_do_not_matter(text: str) -> None:
    assert cpu_list(text) == (0, 1, 2, 8)


def test_a_file_that_is_not_there_reads_as_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "missing") == read(tmp_path) == ""
    (tmp_path / "bytes").write_bytes(b" \xff1\n")
    assert read(tmp_path / "bytes") == "�1"
