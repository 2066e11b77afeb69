"""This machine: `probe()` reads all of it from files, so that a recorded tree can be probed like a machine.

Nothing here starts a process, opens a connection or imports a framework, and nothing raises: what cannot be read takes
the plainest value that is safe (one node, one hardware thread per core, no limit).
"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from autotune.core import packages
from autotune.core.machine import Hardware
from autotune.hardware import energy, interpreters, libraries, topology
from autotune.hardware.cgroups import limits
from autotune.hardware.kernel_files import read
from autotune.hardware.libraries import inside, under
from autotune.hardware.topology import Info

# Instruction sets that decide between settings, by the names that the kernel gives them.
_ISA = {
    "x86_64": (
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx_vnni",
        "avx512_bf16",
        "amx_tile",
        "amx_bf16",
        "amx_int8",
    ),
    "aarch64": ("asimd", "asimddp", "sve", "sve2", "bf16", "i8mm"),
}

MEMPOLICY = {"x86_64": (239, 238), "aarch64": (236, 237)}
"""The numbers of the system calls get_mempolicy and set_mempolicy."""

# Arm's kernel gives numbers only (MIDR_EL1: implementer, part); the server parts, as util-linux's lscpu-arm.c has them.
_ARM_PARTS = {
    (0x41, 0xD08): "Cortex-A72",
    (0x41, 0xD0C): "Neoverse-N1",
    (0x41, 0xD40): "Neoverse-V1",
    (0x41, 0xD49): "Neoverse-N2",
    (0x41, 0xD4F): "Neoverse-V2",
    (0x41, 0xD84): "Neoverse-V3",
    (0x41, 0xD8E): "Neoverse-N3",
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "Kunpeng-920",
    (0x6D, 0xD49): "Azure-Cobalt-100",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}


def probe(
    root: Path = Path("/"),
    *,
    environ: Mapping[str, str] | None = None,
    instance_type: str | None = None,
    glibc: str | None = None,
    prefix: str = sys.prefix,
    path: Sequence[str] | None = None,
) -> Hardware:
    """The machine whose files lie under `root`: this one, or a recorded tree of another.

    `environ` is by default this process's for the real root and empty for a recorded one; AUTOTUNE_INSTANCE_TYPE, CXX,
    PATH, LD_LIBRARY_PATH and CONDA_PREFIX matter. `instance_type` and `glibc` override what is found. `prefix` and
    `path` are the Python environment whose packages count, by default this interpreter's. `caches` is in bytes, by
    `L1d`, `L1i`, `L2`, `L3`, each one instance of the cache of the first CPU. Raises nothing but PluginError.
    """
    live = root == Path("/")
    environ = (os.environ if live else {}) if environ is None else environ
    path = sys.path if path is None else path
    processors = topology.cpuinfo(root)
    first = processors[0] if processors else {}
    architecture = _architecture(first)
    affinity = topology.affinity(root, live)
    cpus = topology.cpus(root, processors, affinity)
    bounds = limits(root)
    hw = Hardware(
        architecture=architecture,
        cpu_model=_cpu_model(first, architecture),
        isa=_isa(first, architecture),
        cpus=cpus,
        allowed_cpus=topology.allowed(cpus, affinity, bounds.cpus),
        cpu_quota=bounds.cpu_quota,
        memory_bytes=_memory(root, live),
        memory_limit_bytes=bounds.memory_bytes,
        caches=_caches(root),
        huge_page_mode=huge_page_mode(root),
        glibc=glibc or (_glibc() if live else None),
        kernel=read(root / "proc/sys/kernel/osrelease"),
        libraries=libraries.find(architecture, root, environ, prefix=prefix, path=path),
        packages=interpreters.installed(
            [str(under(root, entry)) for entry in path if entry.startswith("/")], packages.named()
        ),
        compiler=_compiler(root, environ),
        numactl=_numactl(root, environ) if not live or _may_bind_memory() else None,
        environments=interpreters.find(interpreters.default_folder()) if live else {},
        energy=bool(energy.counters(root)),
    )
    named = instance_type or environ.get("AUTOTUNE_INSTANCE_TYPE") or _amazon_type(root)
    return msgspec.structs.replace(hw, instance_type=named or f"{_slug(hw.cpu_model)}-{len(hw.cores)}c")


def huge_page_mode(root: Path = Path("/")) -> str | None:
    """`always`, `madvise` or `never`: how the kernel gives transparent huge pages now; None if it has none."""
    chosen = re.search(r"\[(\w+)\]", read(root / "sys/kernel/mm/transparent_hugepage/enabled"))
    return chosen[1] if chosen else None


# ---------------------------------------------------------------------------------------------------- processor


def _architecture(first: Info) -> str:
    if "CPU implementer" in first:
        return "aarch64"
    return "x86_64" if "flags" in first else os.uname().machine


def _cpu_model(first: Info, architecture: str) -> str:
    if "CPU implementer" in first:
        # A generic "model name" (ARMv8 Processor rev 1) says less than the numbers do.
        implementer, part = (topology.integer(first.get(key, ""), 0) for key in ("CPU implementer", "CPU part"))
        return _ARM_PARTS.get((implementer, part), f"Arm {implementer:#04x}/{part:#05x}")
    return first.get("model name") or architecture


def _isa(first: Info, architecture: str) -> tuple[str, ...]:
    words = set(f"{first.get('flags', '')} {first.get('Features', '')}".split())
    return tuple(name for name in _ISA.get(architecture, ()) if name in words)


# ------------------------------------------------------------------------------------------------------- memory


def _memory(root: Path, live: bool) -> int:
    """Bytes; 0 where a recorded tree does not say."""
    total = re.search(r"^MemTotal:\s+(\d+) kB", read(root / "proc/meminfo"), re.MULTILINE)
    if total:
        return int(total[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if live else 0


def _caches(root: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (read(index / name) for name in ("level", "type", "size"))
        amount = re.fullmatch(r"(\d+)([KMG]?)", size)
        if level and amount:
            suffix = {"Data": "d", "Instruction": "i"}.get(kind, "")
            found[f"L{level}{suffix}"] = int(amount[1]) * 1024 ** " KMG".index(amount[2] or " ")
    return found


# ---------------------------------------------------------------------------------------------- name of the type


def _amazon_type(root: Path) -> str | None:
    """The instance type that Amazon's firmware gives as product name; other clouds write something generic there."""
    vendor, product = (read(root / f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    return product if vendor == "Amazon EC2" and re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", product) else None


def _slug(model: str) -> str:
    """`Intel(R) Xeon(R) Platinum 8488C` -> `intel-xeon-platinum-8488c`, without words that say nothing."""
    plain = re.sub(r"\(R\)|\(TM\)|@.*|\b(CPU|Processor|\d+-Core)\b", " ", model, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


# ---------------------------------------------------------------------------------------------------- software


def _glibc() -> str | None:
    """`2.36`; None under another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return None
    return version if name == "glibc" else None


def _compiler(root: Path, environ: Mapping[str, str]) -> str | None:
    """The C++ compiler: CXX if it is set (inductor then tries no other), else g++ or clang++."""
    for name in _words(environ.get("CXX", ""))[:1] or ["g++", "clang++"]:
        command = str(under(root, os.path.abspath(name))) if "/" in name else name
        if found := shutil.which(command, path=_search_path(root, environ)):
            return inside(root, Path(found))
    return None


def _numactl(root: Path, environ: Mapping[str, str]) -> str | None:
    found = shutil.which("numactl", path=_search_path(root, environ))
    return inside(root, Path(found)) if found else None


def _may_bind_memory() -> bool:
    """True if this process may set a memory policy (containers often forbid it): tried by setting the one it has."""
    calls = MEMPOLICY.get(os.uname().machine)
    if calls is None:
        return False
    get, put = calls
    syscall = ctypes.CDLL(None).syscall
    mode, nodes, bits = ctypes.c_int(), (ctypes.c_ulong * 64)(), ctypes.c_ulong(64 * 64)
    if syscall(get, ctypes.byref(mode), nodes, bits, None, ctypes.c_ulong(0)) != 0:
        return False
    return bool(syscall(put, mode, nodes, bits) == 0)


def _search_path(root: Path, environ: Mapping[str, str]) -> str:
    folders = environ.get("PATH", os.defpath).split(":")
    return ":".join(str(under(root, folder)) for folder in folders if folder.startswith("/"))


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an unbalanced quote
        return [command]
