import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import allocator
from tests.machines import hardware

TC = "/usr/lib/libtcmalloc_minimal.so.4.5.10"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
PROGRAM = "/usr/bin/python3.11"
LIBRARIES = {"tcmalloc": TC, "tbbmalloc": "/t/libtbbmalloc_proxy.so.2", "tbbmalloc_core": "/t/libtbbmalloc.so.2"}
HERE = probe()


def test_system_alone_where_nothing_was_found() -> None:
    hw = hardware(2)
    assert allocator.default(hw) == "system"
    assert allocator.domain(hw) == ("system",)
    assert allocator.launch("system", hw).preload == ()
    assert allocator.launch("system", hw).env == {}


def test_domain_is_what_was_found() -> None:
    assert allocator.domain(hardware(2, libraries=LIBRARIES)) == ("system", "tcmalloc", "tbbmalloc")
    alone = {name: path for name, path in LIBRARIES.items() if name != "tbbmalloc_core"}
    assert allocator.domain(hardware(2, libraries=alone)) == ("system", "tcmalloc")


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("tcmalloc", "libtcmalloc-minimal4"),
        ("jemalloc", "libjemalloc2"),
        ("mimalloc", "libmimalloc2.0"),
        ("tbbmalloc", "pip install tbb"),
    ],
)
def test_unavailable_says_what_to_install(value: allocator.Value, remedy: str) -> None:
    reason = allocator.unavailable(value, hardware(2))
    assert reason is not None
    assert reason.startswith(f"{value} was not found")
    assert remedy in reason


def test_launch_preloads() -> None:
    hw = hardware(2, libraries=LIBRARIES)
    patch = allocator.launch("tcmalloc", hw)
    assert patch.preload == (TC,)
    assert int(patch.env["TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD"] or "") > 2**40
    # The proxy finds its library only because that is preloaded too.
    assert set(allocator.launch("tbbmalloc", hw).preload) == {"/t/libtbbmalloc_proxy.so.2", "/t/libtbbmalloc.so.2"}


def serving(owner: str, **others: str) -> dict[str, str]:
    return dict.fromkeys(allocator.FAMILY, owner) | others


@pytest.mark.parametrize(
    ("wanted", "owners", "files", "reason"),
    [
        (None, serving(LIBC), {LIBC}, None),
        (None, serving("/lib/libc-2.31.so"), set(), None),
        (None, serving("/lib/ld-musl-x86_64.so.1"), set(), None),
        (None, serving(LIBC), {LIBC, "/ov/libtbbmalloc.so.2"}, None),
        (None, serving(LIBC), {LIBC, "/wheel.libs/libjemalloc.so.2"}, None),
        (None, serving(TC), {LIBC, TC}, f"malloc comes from {TC}, not from the C library"),
        (None, serving(LIBC, free=TC), {LIBC, TC}, f"free comes from {TC}, not from the C library"),
        (None, serving("/x/libcrazy.so"), set(), "malloc comes from /x/libcrazy.so, not from the C library"),
        (None, serving(PROGRAM), {PROGRAM, LIBC}, None),
        (None, serving(PROGRAM), {PROGRAM, TC}, f"{TC} may serve malloc in place of the C library"),
        (TC, serving(TC), {LIBC, TC}, None),
        (TC, serving(LIBC), {LIBC}, f"{TC} is not mapped: it was not preloaded, or the loader passed over it"),
        (TC, serving(LIBC), {LIBC, TC}, f"malloc comes from {LIBC}, not from {TC}"),
        (TC, serving(""), {TC}, f"malloc comes from an unknown place, not from {TC}"),
        (TC, serving(PROGRAM), {PROGRAM, TC}, None),
        (TC, serving(PROGRAM), {TC, "/x/libjemalloc.so.2"}, f"/x/libjemalloc.so.2 may serve malloc in place of {TC}"),
    ],
)
def test_mismatch(wanted: str | None, owners: dict[str, str], files: set[str], reason: str | None) -> None:
    assert allocator.mismatch(wanted, owners, frozenset(files), PROGRAM) == reason


def test_mismatch_follows_links(tmp_path: Path) -> None:
    (tmp_path / "libx.so.4.5").touch()
    (tmp_path / "libx.so.4").symlink_to("libx.so.4.5")
    real = str((tmp_path / "libx.so.4.5").resolve())
    assert allocator.mismatch(str(tmp_path / "libx.so.4"), serving(real), frozenset({real}), PROGRAM) is None


MAPS = """\
00400000-00500000 r--p 00000000 fd:00 11 /usr/bin/none-python
7f0000000000-7f0000001000 r--p 00000000 fd:00 12                       /none/lib a/libc.so.6 (deleted)
7f0000001000-7f0000005000 r-xp 00001000 fd:00 12                       /none/lib a/libc.so.6 (deleted)
7f0000005000-7f0000006000 rw-p 00000000 00:00 0
7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0                        [stack]
"""


def test_owners() -> None:
    addresses = {"malloc": 0x7F0000001000, "free": 0x7F0000005000, "calloc": 0x450000}
    assert allocator.owners(MAPS, addresses) == {
        "malloc": "/none/lib a/libc.so.6",
        "free": "",
        "calloc": "/usr/bin/none-python",
    }
    assert allocator.mapped(MAPS) == {"/none/lib a/libc.so.6", "/usr/bin/none-python"}


CHILD = """
import sys
import msgspec
from autotune.knobs import allocator
from autotune.core.machine import Hardware
hw = msgspec.json.decode(sys.argv[1], type=Hardware)
for name in sys.argv[3:]:
    __import__(name)
print(allocator.applied(sys.argv[2], hw))
"""


def said_by_a_child(value: str, preload: tuple[str, ...], imports: tuple[str, ...] = ()) -> str:
    """The answer of `applied` in a child with these libraries preloaded."""
    preloaded = {"LD_PRELOAD": ":".join(preload)} if preload else {}
    environ = {name: text for name, text in os.environ.items() if name != "LD_PRELOAD"} | preloaded
    argv = [sys.executable, "-c", CHILD, _json(), value, *imports]
    return subprocess.run(
        argv, env=environ | {"TBB_ENABLE_SANITIZERS": "1"}, capture_output=True, text=True, check=True
    ).stdout.strip()


def _json() -> str:
    import msgspec

    return msgspec.json.encode(HERE).decode()


def test_a_plain_child_has_the_system_allocator() -> None:
    assert said_by_a_child("system", ()) == "None"


@pytest.mark.parametrize("value", ["tcmalloc", "jemalloc", "mimalloc", "tbbmalloc"])
def test_a_preloaded_child_has_what_it_was_given(value: allocator.Value) -> None:
    if reason := allocator.unavailable(value, HERE):
        pytest.skip(reason)
    preload = allocator.launch(value, HERE).preload
    assert said_by_a_child(value, preload) == "None"
    assert "is not mapped" in said_by_a_child(value, ())
    assert "not from the C library" in said_by_a_child("system", preload)


def test_an_allocator_behind_another_is_not_in_effect() -> None:
    found = [value for value in allocator.domain(HERE) if value not in ("system", "tbbmalloc")]
    if len(found) < 2:
        pytest.skip("needs two allocators")
    first, second = (HERE.libraries[value] for value in found[:2])
    assert said_by_a_child(found[1], (first, second)).startswith("malloc comes from")


def test_a_preload_that_fails_is_noticed(tmp_path: Path) -> None:
    if "jemalloc" not in HERE.libraries:
        pytest.skip("needs jemalloc")
    broken = tmp_path / "libjemalloc.so.2"
    broken.write_bytes(b"not a library")
    assert "is not mapped" in said_by_a_child("jemalloc", (str(broken),))


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "onnxruntime", "openvino"])
@pytest.mark.parametrize("value", ["system", "tcmalloc", "jemalloc", "mimalloc", "tbbmalloc"])
def test_frameworks_raise_no_false_alarm(value: allocator.Value, framework: str) -> None:
    if reason := allocator.unavailable(value, HERE):
        pytest.skip(reason)
    if framework not in HERE.packages:
        pytest.skip(f"needs {framework}")
    assert said_by_a_child(value, allocator.launch(value, HERE).preload, (framework,)) == "None"
