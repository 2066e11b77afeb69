from pathlib import Path

import pytest

from autotune.hardware.libraries import allocator_of, find
from tests.machines import AARCH64, elf, write

LIB = "/usr/lib/x86_64-linux-gnu"
SITE = "/opt/env/lib/python3.11/site-packages"


def found(root: Path, environ: dict[str, str] | None = None, architecture: str = "x86_64") -> dict[str, str]:
    return find(architecture, root, environ, prefix="/opt/env", path=["/opt/env/lib/python3.11", SITE])


def link(root: Path, name: str, target: str) -> None:
    path = root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def test_debian_names(tmp_path: Path) -> None:
    write(tmp_path, {f"{LIB}/{name}": elf() for name in ("libtcmalloc_minimal.so.4.5.10", "libmimalloc.so.2.0")})
    write(tmp_path, {f"{LIB}/{name}": elf() for name in ("libjemalloc.so.2", "libtcmalloc_minimal_debug.so.4.5.10")})
    link(tmp_path, f"{LIB}/libtcmalloc_minimal.so.4", "libtcmalloc_minimal.so.4.5.10")
    link(tmp_path, f"{LIB}/libmimalloc.so.2", "libmimalloc.so.2.0")
    assert found(tmp_path) == {
        "jemalloc": f"{LIB}/libjemalloc.so.2",
        "mimalloc": f"{LIB}/libmimalloc.so.2",
        "tcmalloc": f"{LIB}/libtcmalloc_minimal.so.4",
    }


def test_the_link_of_a_development_package_is_not_relied_on(tmp_path: Path) -> None:
    write(tmp_path, {f"{LIB}/libmimalloc.so.2.0": elf()})
    link(tmp_path, f"{LIB}/libmimalloc.so", "libmimalloc.so.2.0")
    assert found(tmp_path) == {"mimalloc": f"{LIB}/libmimalloc.so.2.0"}


@pytest.mark.parametrize(
    "name",
    [
        "libtcmalloc_debug.so.4",
        "libtcmalloc_minimal_debug.so.4",
        "libtcmalloc_and_profiler.so.4",
        "libtcmalloc.so.4.py",
    ],
)
def test_other_variants_do_not_count(tmp_path: Path, name: str) -> None:
    assert found(write(tmp_path, {f"{LIB}/{name}": elf()})) == {}


def test_hardened_and_debug_mimalloc_do_not_count(tmp_path: Path) -> None:
    names = (
        "libmimalloc-secure.so.2.0",
        "libmimalloc-debug.so.2.0",
        "libtbbmalloc.so.2",
        "libtbbmalloc_proxy_debug.so.2",
    )
    assert found(write(tmp_path, {f"{LIB}/{name}": elf() for name in names})) == {}


def test_newest_then_full_then_earlier_path(tmp_path: Path) -> None:
    write(
        tmp_path, {f"{LIB}/libtcmalloc_minimal.so.4.5.9": elf(), "/usr/local/lib/libtcmalloc_minimal.so.4.5.10": elf()}
    )
    assert found(tmp_path)["tcmalloc"] == "/usr/local/lib/libtcmalloc_minimal.so.4.5.10"
    write(tmp_path, {f"{LIB}/libtcmalloc.so.4.5.10": elf()})
    assert found(tmp_path)["tcmalloc"] == f"{LIB}/libtcmalloc.so.4.5.10"
    write(tmp_path, {"/first/libtcmalloc.so.4.5.10": elf()})
    assert found(tmp_path, {"LD_LIBRARY_PATH": "/first"})["tcmalloc"] == "/first/libtcmalloc.so.4.5.10"
    # 4.5.9 is older than 4.5.10 although it sorts after it as text.
    write(tmp_path, {"/first/libtcmalloc.so.4.5.9": elf()})
    assert found(tmp_path, {"LD_LIBRARY_PATH": "/first"})["tcmalloc"] == "/first/libtcmalloc.so.4.5.10"


@pytest.mark.parametrize(
    "content",
    [elf(AARCH64), elf(bits=1), elf(kind=2), b"", b"GROUP ( libjemalloc.so.2 )", b"\x7fELF"],
    ids=["other architecture", "32 bits", "a program", "empty", "linker script", "cut off"],
)
def test_what_the_loader_would_pass_over_does_not_count(tmp_path: Path, content: bytes) -> None:
    assert found(write(tmp_path, {f"{LIB}/libjemalloc.so.2": content})) == {}


def test_arm(tmp_path: Path) -> None:
    write(tmp_path, {f"{LIB}/libjemalloc.so.2": elf(), "/usr/lib64/libjemalloc.so.1": elf(AARCH64)})
    assert found(tmp_path, architecture="aarch64") == {"jemalloc": "/usr/lib64/libjemalloc.so.1"}


@pytest.mark.parametrize(
    "folder",
    [
        LIB,
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
        "/lib/x86_64-linux-gnu",
        "/lib64",
        "/opt/env/lib",
        "/opt/conda/lib",
    ],
)
def test_folders(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {f"{folder}/libjemalloc.so.2": elf()})
    assert found(tmp_path, {"CONDA_PREFIX": "/opt/conda"}) == {"jemalloc": f"{folder}/libjemalloc.so.2"}


@pytest.mark.parametrize("folder", ["some/lib", "some/libs", "some.libs"])
def test_inside_wheels(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {f"{SITE}/{folder}/libiomp5.so": elf()})
    assert found(tmp_path) == {"iomp5": f"{SITE}/{folder}/libiomp5.so"}


def test_the_openmp_runtime_of_its_wheel(tmp_path: Path) -> None:
    """As `intel-openmp` leaves it in the environment's own lib, with what is not the runtime beside it."""
    names = ("libiomp5.so", "libiomp5_db.so", "libiompstubs5.so", "libiomp5.dbg")
    assert found(write(tmp_path, {f"/opt/env/lib/{name}": elf() for name in names})) == {
        "iomp5": "/opt/env/lib/libiomp5.so"
    }


def test_ld_so_conf_with_includes_that_loop(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "/etc/ld.so.conf": "# comment\ninclude ld.so.conf.d/*.conf\ninclude /etc/more.conf",
            "/etc/ld.so.conf.d/a.conf": "/opt/a/lib # with a comment\ninclude /etc/ld.so.conf",
            "/etc/more.conf": "/opt/b/lib",
            "/opt/a/lib/libjemalloc.so.2": elf(),
            "/opt/b/lib/libmimalloc.so.2": elf(),
        },
    )
    assert found(tmp_path) == {"jemalloc": "/opt/a/lib/libjemalloc.so.2", "mimalloc": "/opt/b/lib/libmimalloc.so.2"}


def test_the_proxy_needs_its_library_beside_it(tmp_path: Path) -> None:
    write(tmp_path, {f"{LIB}/libtbbmalloc_proxy.so.2.8": elf()})
    assert found(tmp_path) == {}
    write(tmp_path, {"/opt/env/lib/libtbbmalloc_proxy.so.2": elf(), "/opt/env/lib/libtbbmalloc.so.2": elf()})
    assert found(tmp_path) == {
        "tbbmalloc": "/opt/env/lib/libtbbmalloc_proxy.so.2",
        "tbbmalloc_core": "/opt/env/lib/libtbbmalloc.so.2",
    }


@pytest.mark.parametrize("folder", ["/opt/my libs", "/opt/a:b"])
def test_paths_that_a_preload_cannot_name_do_not_count(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {"/etc/ld.so.conf": folder, f"{folder}/libjemalloc.so.2": elf()})
    write(tmp_path, {f"{SITE}/{folder.rpartition('/')[2]}.libs/libjemalloc.so.2": elf()})
    assert found(tmp_path) == {}


def test_a_dangling_link_and_an_unreadable_name_do_not_matter(tmp_path: Path) -> None:
    link(tmp_path, f"{LIB}/libjemalloc.so.2", "gone.so")
    write(tmp_path, {f"{LIB}/libmimalloc.so/inside": ""})
    assert found(tmp_path) == {}


@pytest.mark.parametrize(
    ("path", "allocator"),
    [
        ("/usr/lib/libtcmalloc_minimal_debug.so.4", "tcmalloc"),
        ("/usr/lib/libmimalloc-secure.so.2.0", "mimalloc"),
        ("/x/libjemalloc.so", "jemalloc"),
        ("/x/libtbbmalloc_proxy.so.2", "tbbmalloc"),
        ("/x/libtbbmalloc.so.2", None),
        ("/x/libc.so.6", None),
        ("/x/libmimallocish.so", None),
    ],
)
def test_allocator_of(path: str, allocator: str | None) -> None:
    assert allocator_of(path) == allocator
