from pathlib import Path

import msgspec
import pytest

from autotune.hardware.probe import probe
from autotune.knobs import glibc_conf
from tests.backends.child import configured, told
from tests.machines import hardware, write

HERE = probe()
KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776:glibc.malloc.top_pad=67108864"
ONE_ARENA = f"{KEEP}:glibc.malloc.arena_max=1"
HUGE = "glibc.malloc.hugetlb=1"


@pytest.mark.parametrize(("glibc", "known"), [("2.36", True), ("2.26", True), ("2.25", False), (None, False)])
def test_where_glibc_has_tunables(glibc: str | None, known: bool) -> None:
    hw = hardware(2, glibc=glibc)
    assert glibc_conf.domain(hw) == (("default", "keep", "keep_one_arena") if known else ("default",))
    reason = glibc_conf.unavailable("keep", hw)
    assert (reason is None) == known
    assert known or (f"glibc {glibc}" if glibc else "another one") in (reason or "")


def test_launch() -> None:
    assert glibc_conf.launch("default", HERE).env == {}
    assert glibc_conf.launch("keep", HERE).env == {"GLIBC_TUNABLES": KEEP}
    assert glibc_conf.launch("keep_one_arena", HERE).env == {"GLIBC_TUNABLES": ONE_ARENA}


def test_another_allocator_does_not_read_it() -> None:
    plain = configured("onnxruntime")
    jemalloc = msgspec.structs.replace(plain, knobs={**plain.knobs, "allocator": "jemalloc"})
    assert glibc_conf.without_effect("keep", plain, ("onnxruntime",)) is None
    assert glibc_conf.without_effect("default", jemalloc, ()) is None
    assert "replaced by jemalloc" in (glibc_conf.without_effect("keep", jemalloc, ()) or "")


@pytest.mark.parametrize(
    ("value", "tunables", "reason"),
    [
        ("default", None, None),
        ("default", HUGE, None),
        ("default", KEEP, "was started with glibc.malloc.mmap_max=0 and"),
        ("keep", KEEP, None),
        ("keep", f"{HUGE}:{KEEP}", None),
        ("keep", f"{KEEP}:{HUGE}", None),
        ("keep", None, "was started without glibc.malloc.mmap_max=0 and"),
        ("keep", KEEP.replace("mmap_max=0", "mmap_max=1"), "was started without glibc.malloc.mmap_max=0 in"),
        ("keep", ONE_ARENA, "was started with glibc.malloc.arena_max=1 in"),
        ("keep_one_arena", KEEP, "was started without glibc.malloc.arena_max=1 in"),
        ("keep_one_arena", ONE_ARENA, None),
    ],
)
def test_applied(tmp_path: Path, value: glibc_conf.Value, tunables: str | None, reason: str | None) -> None:
    environ = "PATH=/bin\0" + (f"GLIBC_TUNABLES={tunables}\0" if tunables else "")
    said = glibc_conf.applied(value, HERE, write(tmp_path, {"/proc/self/environ": environ.encode()}))
    assert (said is None) if reason is None else reason in (said or "")


def test_a_list_that_glibc_cut_up_in_place_is_read_whole(tmp_path: Path) -> None:
    environ = f"GLIBC_TUNABLES={KEEP}:{HUGE}".replace(":", "\0").encode()
    assert glibc_conf.applied("keep", HERE, write(tmp_path, {"/proc/self/environ": environ})) is None


def test_what_cannot_be_read_is_not_proven(tmp_path: Path) -> None:
    assert (glibc_conf.applied("keep", HERE, tmp_path) or "").startswith("the tunables cannot be proven")


CHILD = """
import ctypes
from autotune.knobs import glibc_conf
told["said"] = {value: glibc_conf.applied(value, None) for value in glibc_conf.SETTINGS}

class Mallinfo2(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]

c = ctypes.CDLL(None)
c.mallinfo2.restype, c.malloc.restype = Mallinfo2, ctypes.c_void_p
block = ctypes.c_void_p(c.malloc(ctypes.c_size_t(100 * 2**20)))
told["held"] = c.mallinfo2().arena // 2**20
c.free(block)
told["kept"] = c.mallinfo2().keepcost // 2**20
"""


@pytest.mark.parametrize("value", ["default", "keep", "keep_one_arena"])
def test_glibc_keeps_what_is_freed(tmp_path: Path, value: glibc_conf.Value) -> None:
    """A block of 100 MiB: mapped and unmapped by default, else from the heap, whose free end is kept."""
    if reason := glibc_conf.unavailable("keep", HERE):
        pytest.skip(reason)
    if (HERE.glibc or "") < "2.33":
        pytest.skip("needs mallinfo2")
    beside = {
        "GLIBC_TUNABLES": ":".join(filter(None, [glibc_conf.launch(value, HERE).env.get("GLIBC_TUNABLES"), HUGE]))
    }
    found = told(CHILD, tmp_path, env=beside)  # with another owner's tunable
    assert [name for name, reason in found["said"].items() if reason is None] == [value]
    assert (found["held"] >= 100) == (value != "default")
    assert (found["kept"] >= 100) == (value != "default")
