"""Finding allocators and OpenMP runtimes that can be preloaded, under any version and in any library path."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autotune.hardware.kernel_files import read

# Exact names, so that debug, profiling and hardened variants (libtcmalloc_minimal_debug, libmimalloc-secure) stay out.
# TBB's allocator replaces malloc only through its proxy: libtbbmalloc alone comes with OpenVINO and replaces nothing.
STEMS = {
    "tcmalloc": ("libtcmalloc", "libtcmalloc_minimal"),
    "jemalloc": ("libjemalloc",),
    "mimalloc": ("libmimalloc",),
    "tbbmalloc": ("libtbbmalloc_proxy",),
    "iomp5": ("libiomp5",),
}
ALLOCATORS = ("tcmalloc", "jemalloc", "mimalloc", "tbbmalloc")
# The proxy of the `tbb` wheel has no RPATH: without this file preloaded beside it, the program does not start at all.
TBBMALLOC_CORE = "libtbbmalloc.so.2"

_ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
_SHARED_OBJECT = 3
_TRIPLETS = ("x86_64-linux-gnu", "aarch64-linux-gnu")


def find(
    architecture: str,
    root: Path = Path("/"),
    environ: Mapping[str, str] | None = None,
    *,
    prefix: str = sys.prefix,
    path: Sequence[str] | None = None,
) -> dict[str, str]:
    """Name (a key of `STEMS`) -> path of the library to preload, as seen from inside `root`.

    Of several, the newest version wins, then the full library over a reduced one, then the earlier library path;
    libraries bundled inside wheels come last. Only 64-bit ELF shared objects of `architecture` count, and only paths
    that LD_PRELOAD can express. `tbbmalloc_core` is the library that tbbmalloc's proxy needs preloaded beside it.
    `prefix` and `path` are the Python environment to look in; by default this interpreter's.
    """
    best: dict[str, tuple[tuple[tuple[int, ...], int, bool, int], Path]] = {}
    for folder in _folders(root, environ or {}, prefix, sys.path if path is None else path):
        for file in _files(folder):
            name, _, version = file.name.partition(".so")
            for key, stems in STEMS.items():
                if name not in stems or not re.fullmatch(r"(\.\d+)*", version):
                    continue
                if _expressible(inside(root, file)) and _loadable(file, architecture, key):
                    rank = (_version(file), -stems.index(name), version != "", -len(version))
                    if key not in best or rank > best[key][0]:
                        best[key] = (rank, file)
    found = {key: inside(root, file) for key, (_, file) in sorted(best.items())}
    if "tbbmalloc" in best:
        found["tbbmalloc_core"] = inside(root, best["tbbmalloc"][1].parent / TBBMALLOC_CORE)
    return found


def under(root: Path, path: str) -> Path:
    """The place of an absolute path of the machine when the machine's tree is at `root`."""
    return root / path.lstrip("/")


def inside(root: Path, path: Path) -> str:
    """The reverse of `under`."""
    return f"/{path.relative_to(root)}"


def allocator_of(path: str) -> str | None:
    """The allocator that a mapped file is (any variant, also a debug one), or None; by its name alone."""
    name = path.rpartition("/")[2]
    for allocator in ALLOCATORS:
        if any(re.match(rf"{stem}(_|-|\.so)", name) for stem in STEMS[allocator]):
            return allocator
    return None


def _folders(root: Path, environ: Mapping[str, str], prefix: str, path: Sequence[str]) -> Iterator[Path]:
    """Library paths that exist, each real folder once: chosen by the user, the system's, then inside wheels."""
    chosen = environ.get("LD_LIBRARY_PATH", "").split(":")
    chosen += [f"{home}/lib" for home in (prefix, environ.get("CONDA_PREFIX", "")) if home]
    standard = [f"{base}/{triplet}" for triplet in _TRIPLETS for base in ("/usr/local/lib", "/usr/lib", "/lib")]
    standard += ["/usr/local/lib", "/usr/local/lib64", "/usr/lib64", "/lib64", "/usr/lib", "/lib"]
    candidates = [under(root, folder) for folder in chosen if folder.startswith("/")]
    candidates += [under(root, folder) for folder in (*_configured(root, "etc/ld.so.conf"), *standard)]
    for site in (under(root, entry) for entry in path if entry.endswith(("site-packages", "dist-packages"))):
        candidates += [folder for pattern in ("*/lib", "*/libs", "*.libs") for folder in sorted(site.glob(pattern))]
    seen: set[Path] = set()
    for folder in candidates:
        real = folder.resolve()
        if real not in seen and real.is_dir():
            seen.add(real)
            yield folder


def _configured(root: Path, file: str, seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """The folders that an ld.so.conf names, its includes followed."""
    for line in read(root / file).splitlines():
        word, *patterns = line.partition("#")[0].split() or [""]
        if word == "include":
            for pattern in patterns:
                relative = pattern.lstrip("/") if pattern.startswith("/") else f"etc/{pattern}"
                for found in sorted(root.glob(relative)):
                    included = str(found.relative_to(root))
                    if included not in seen:
                        yield from _configured(root, included, seen | {file, included})
        elif word.startswith("/"):
            yield word


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # a folder that we may not list holds nothing that we could preload
        return []


def _expressible(path: str) -> bool:
    """True if LD_PRELOAD can name this path: it is split at colons and white space, with no way to quote them."""
    return not re.search(r"[\s:]", path)


def _loadable(file: Path, architecture: str, key: str) -> bool:
    """True if the loader would take this file: one of another architecture it passes over with no more than a line."""
    complete = key != "tbbmalloc" or _shared_object(file.parent / TBBMALLOC_CORE, architecture)
    return complete and _shared_object(file, architecture)


def _shared_object(file: Path, architecture: str) -> bool:
    """True if a file is a little-endian 64-bit ELF shared object of this architecture."""
    try:
        with file.open("rb") as stream:
            header = stream.read(20)
    except OSError:
        return False
    if len(header) < 20 or header[:6] != b"\x7fELF\x02\x01":
        return False
    return struct.unpack_from("<HH", header, 16) == (_SHARED_OBJECT, _ELF_MACHINES.get(architecture))


def _version(file: Path) -> tuple[int, ...]:
    """The version in the name of the file that a link leads to: libtcmalloc.so.4 -> (4, 5, 10)."""
    _, _, version = file.resolve().name.partition(".so")
    return tuple(int(number) for number in re.findall(r"\d+", version))
