import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import huge_pages
from tests.machines import hardware, write

MADVISE = hardware(2, huge_page_mode="madvise", glibc="2.36")
ON = {"THP_MEM_ALLOC_ENABLE": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@pytest.mark.parametrize("mode", ["madvise", "always"])
def test_both_where_the_kernel_gives(mode: str) -> None:
    hw = hardware(2, huge_page_mode=mode)
    assert huge_pages.domain(hw) == (False, True)
    assert huge_pages.default(hw) is False


def test_never_names_the_command() -> None:
    hw = hardware(2, huge_page_mode="never")
    assert huge_pages.domain(hw) == (False,)
    assert huge_pages.unavailable(False, hw) is None
    assert huge_pages.unavailable(True, hw) == (
        "transparent huge pages are set to never; echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    )


def test_a_kernel_without_any() -> None:
    hw = hardware(2)
    assert huge_pages.domain(hw) == (False,)
    assert "no transparent huge pages" in (huge_pages.unavailable(True, hw) or "")


@pytest.mark.parametrize(
    ("glibc", "known"), [("2.35", True), ("2.4", False), ("2.34", False), ("3.0", True), (None, False)]
)
def test_launch_uses_the_tunable_where_glibc_knows_it(glibc: str | None, known: bool) -> None:
    env = huge_pages.launch(True, hardware(2, huge_page_mode="madvise", glibc=glibc)).env
    assert env == (ON if known else {"THP_MEM_ALLOC_ENABLE": "1"})


def test_launch_of_false_asks_nothing() -> None:
    assert huge_pages.launch(False, MADVISE).env == {}


def process(root: Path, environ: dict[str, str], mode: str = "always [madvise] never", thp: str = "1") -> Path:
    return write(
        root,
        {
            "/proc/self/environ": "".join(f"{name}={value}\0" for name, value in environ.items()).encode(),
            "/proc/self/status": f"Name:\tpython\nTHP_enabled:\t{thp}",
            "/sys/kernel/mm/transparent_hugepage/enabled": mode,
        },
    )


@pytest.mark.parametrize(
    ("value", "environ", "reason"),
    [
        (True, ON, None),
        (True, ON | {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1"}, None),
        (True, {}, "without THP_MEM_ALLOC_ENABLE and GLIBC_TUNABLES asking"),
        (True, ON | {"THP_MEM_ALLOC_ENABLE": "0"}, "without THP_MEM_ALLOC_ENABLE asking"),
        (True, {"THP_MEM_ALLOC_ENABLE": "1"}, "without GLIBC_TUNABLES asking"),
        (True, ON | {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}, "without GLIBC_TUNABLES asking"),
        (False, {}, None),
        (False, {"THP_MEM_ALLOC_ENABLE": "0"}, None),
        (False, {"THP_MEM_ALLOC_ENABLE": "1"}, "THP_MEM_ALLOC_ENABLE asks for huge pages: 1"),
        (False, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}, "GLIBC_TUNABLES asks for huge pages"),
    ],
)
def test_applied(tmp_path: Path, value: bool, environ: dict[str, str], reason: str | None) -> None:
    said = huge_pages.applied(value, MADVISE, process(tmp_path, environ))
    assert (said is None) if reason is None else reason in (said or "")


def test_an_old_glibc_needs_no_tunable(tmp_path: Path) -> None:
    hw = hardware(2, huge_page_mode="madvise", glibc="2.31")
    assert huge_pages.applied(True, hw, process(tmp_path, {"THP_MEM_ALLOC_ENABLE": "1"})) is None


def test_a_kernel_that_changed_its_mind_is_noticed(tmp_path: Path) -> None:
    said = huge_pages.applied(True, MADVISE, process(tmp_path, ON, mode="always madvise [never]"))
    assert said == f"transparent huge pages are now set to never; {huge_pages.ENABLE}"


def test_a_process_without_huge_pages_is_noticed(tmp_path: Path) -> None:
    assert "PR_SET_THP_DISABLE" in (huge_pages.applied(True, MADVISE, process(tmp_path, ON, thp="0")) or "")
    assert huge_pages.applied(False, MADVISE, process(tmp_path, {}, thp="0")) is None


def test_what_cannot_be_read_is_not_proven(tmp_path: Path) -> None:
    assert (huge_pages.applied(True, MADVISE, tmp_path) or "").startswith("huge pages cannot be proven")


CHILD = """
from autotune.hardware.probe import probe
from autotune.knobs import huge_pages
print(huge_pages.applied(True, probe()), huge_pages.applied(False, probe()), sep="|")
"""


def test_applied_in_a_child() -> None:
    hw = probe()
    if reason := huge_pages.unavailable(True, hw):
        pytest.skip(reason)
    clean = {name: value for name, value in os.environ.items() if name not in ON}
    asked = {name: value for name, value in huge_pages.launch(True, hw).env.items() if value is not None}
    for environ, on, off in ((clean | asked, True, False), (clean, False, True)):
        done = subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True)
        said = done.stdout.strip().split("|")
        assert [reason == "None" for reason in said] == [on, off]
