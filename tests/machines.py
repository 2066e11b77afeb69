"""Recorded machines: small trees of the files that a probe reads, written into a temporary folder."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from autotune.core.machine import Cpu, Hardware

X86_64, AARCH64 = 62, 183

SAPPHIRE_RAPIDS = "Intel(R) Xeon(R) Platinum 8488C"
SAPPHIRE_RAPIDS_FLAGS = (
    "fpu sse2 ht avx avx2 fma avx512f avx512dq avx512_vnni avx_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8"
)
GRAVITON4_FEATURES = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc dcpop sha3 "
    "asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes svepmull svebitperm svesha3 "
    "flagm2 frint svei8mm svebf16 i8mm bf16 dgh rng bti"
)
CGROUP2_MOUNT = "30 24 0:26 {mounted} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files, named by their absolute paths on the machine, under `root`."""
    for name, content in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())
    return root


def elf(machine: int = X86_64, *, kind: int = 3, bits: int = 2) -> bytes:
    """The first bytes of an ELF file: by default a 64-bit x86 shared object."""
    return b"\x7fELF" + bytes([bits, 1, 1, 0]) + bytes(8) + struct.pack("<HHI", kind, machine, 1) + bytes(40)


def listed(cpus: Sequence[int]) -> str:
    return ",".join(map(str, cpus))


def topology(places: Mapping[int, tuple[int, int]]) -> dict[str, str]:
    """sysfs of CPUs given as {id: (socket, core id within it)}."""
    files = {"/sys/devices/system/cpu/online": listed(sorted(places))}
    for cpu, place in places.items():
        folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
        files[f"{folder}/physical_package_id"] = str(place[0])
        files[f"{folder}/core_id"] = str(place[1])
        files[f"{folder}/thread_siblings_list"] = listed([other for other in places if places[other] == place])
    return files


def nodes(cpus: Mapping[int, str]) -> dict[str, str]:
    return {f"/sys/devices/system/node/node{node}/cpulist": text for node, text in cpus.items()}


def x86_cpuinfo(places: Mapping[int, tuple[int, int]], model: str, flags: str) -> str:
    return "\n\n".join(
        f"processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: {model}\nphysical id\t: {socket}\n"
        f"core id\t\t: {core}\nflags\t\t: {flags}\npower management:"
        for cpu, (socket, core) in places.items()
    )


def arm_cpuinfo(cpus: int, implementer: str = "0x41", part: str = "0xd4f") -> str:
    return "\n\n".join(
        f"processor\t: {cpu}\nBogoMIPS\t: 2000.00\nFeatures\t: {GRAVITON4_FEATURES}\nCPU implementer\t: {implementer}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\nCPU revision\t: 1"
        for cpu in range(cpus)
    )


def caches(**sizes: str) -> dict[str, str]:
    """The caches of CPU 0, such as L1d="48K"."""
    kinds = {"d": "Data", "i": "Instruction"}
    files: dict[str, str] = {}
    for index, (name, size) in enumerate(sizes.items()):
        folder = f"/sys/devices/system/cpu/cpu0/cache/index{index}"
        files |= {f"{folder}/level": name[1], f"{folder}/type": kinds.get(name[2:], "Unified"), f"{folder}/size": size}
    return files


def c7i_xlarge(root: Path) -> Path:
    """Four vCPUs: two Sapphire Rapids cores of two threads, CPUs 0 and 2 being one core."""
    places = {0: (0, 0), 1: (0, 1), 2: (0, 0), 3: (0, 1)}
    return write(
        root,
        {
            "/proc/cpuinfo": x86_cpuinfo(places, SAPPHIRE_RAPIDS, SAPPHIRE_RAPIDS_FLAGS),
            "/proc/meminfo": "MemTotal:        7917684 kB\nMemFree:         7000000 kB",
            "/proc/self/status": "Name:\tpython\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\nTHP_enabled:\t1",
            "/proc/self/cgroup": "0::/user.slice/session-1.scope",
            "/proc/self/mountinfo": CGROUP2_MOUNT.format(mounted="/"),
            "/proc/sys/kernel/osrelease": "6.8.0-1021-aws",
            "/sys/fs/cgroup/user.slice/cpu.max": "max 100000",
            "/sys/fs/cgroup/user.slice/memory.max": "max",
            "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
            "/sys/class/dmi/id/sys_vendor": "Amazon EC2",
            "/sys/class/dmi/id/product_name": "c7i.xlarge",
            **topology(places),
            **nodes({0: "0-3"}),
            **caches(L1d="48K", L1i="32K", L2="2048K", L3="105M"),
        },
    )


def c8g_xlarge(root: Path) -> Path:
    """Four Graviton4 cores, no SMT; /proc/cpuinfo has no model name."""
    return write(
        root,
        {
            "/proc/cpuinfo": arm_cpuinfo(4),
            "/proc/meminfo": "MemTotal:        7935288 kB",
            "/proc/self/status": "Cpus_allowed_list:\t0-3",
            "/sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never",
            "/sys/class/dmi/id/sys_vendor": "Amazon EC2",
            "/sys/class/dmi/id/product_name": "c8g.xlarge",
            **topology({cpu: (0, cpu) for cpu in range(4)}),
            **nodes({0: "0-3"}),
        },
    )


def two_sockets(root: Path) -> Path:
    """Two sockets of 56 cores of two threads; core ids repeat in the second socket; one NUMA node each."""
    places = {cpu: (cpu // 56 % 2, cpu % 56) for cpu in range(224)}
    return write(
        root,
        {
            "/proc/cpuinfo": x86_cpuinfo(places, "Intel(R) Xeon(R) Platinum 8480+", SAPPHIRE_RAPIDS_FLAGS),
            "/proc/meminfo": "MemTotal:       527985264 kB",
            "/proc/self/status": "Cpus_allowed_list:\t0-223",
            "/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
            "/sys/class/dmi/id/sys_vendor": "Dell Inc.",
            "/sys/class/dmi/id/product_name": "PowerEdge R760",
            **topology(places),
            **nodes({0: "0-55,112-167", 1: "56-111,168-223"}),
        },
    )


def container(root: Path) -> Path:
    """On the two sockets, a version 2 container: cpuset of CPUs 2-5 and their siblings, 1.5 CPUs, 4 GiB.

    The quota is set on the pod, one group above the container's, whose own is looser.
    """
    two_sockets(root)
    pod = "/sys/fs/cgroup/kubepods/pod1"
    return write(
        root,
        {
            "/proc/self/cgroup": "0::/kubepods/pod1/app",
            "/proc/self/mountinfo": CGROUP2_MOUNT.format(mounted="/"),
            f"{pod}/cpu.max": "150000 100000",
            f"{pod}/memory.max": str(8 * 2**30),
            f"{pod}/app/cpu.max": "400000 100000",
            f"{pod}/app/memory.max": str(4 * 2**30),
            f"{pod}/app/cpuset.cpus.effective": "2-5,114-117",
        },
    )


def container_v1(root: Path) -> Path:
    """On the c7i, a version 1 container that sees only its own groups, mounted as if they were the root."""
    c7i_xlarge(root)
    mount = "40 30 0:{} /docker/abc /sys/fs/cgroup/{} ro - cgroup cgroup rw,{}"
    return write(
        root,
        {
            "/proc/self/cgroup": "\n".join(
                f"{number}:{controllers}:/docker/abc"
                for number, controllers in enumerate(["name=systemd", "cpuset", "memory", "cpu,cpuacct"])
            ),
            "/proc/self/mountinfo": "\n".join(
                mount.format(number, folder, controllers)
                for number, (folder, controllers) in enumerate(
                    [("cpu,cpuacct", "cpu,cpuacct"), ("memory", "memory"), ("cpuset", "cpuset")]
                )
            ),
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            "/sys/fs/cgroup/cpuset/cpuset.cpus": "0,2",
        },
    )


def amd(root: Path) -> Path:
    """Two sockets of two SMT cores that only /proc/cpuinfo tells of: no sysfs at all."""
    places = {cpu: (cpu // 4, cpu // 2 % 2) for cpu in range(8)}
    info = x86_cpuinfo(places, "AMD EPYC 7763 64-Core Processor", "fpu avx avx2 fma")
    return write(root, {"/proc/cpuinfo": info, "/proc/meminfo": "MemTotal: 16000000 kB"})


def hardware(*node_sizes: int, smt: int = 1, quota: float | None = None, **fields: object) -> Hardware:
    """A machine with these many cores on each node, CPU numbers as Linux gives them (siblings last)."""
    total = sum(node_sizes)
    where = [node for node, size in enumerate(node_sizes) for _ in range(size)]
    cpus = tuple(
        Cpu(id=thread * total + core, core=core, socket=where[core], node=where[core])
        for thread in range(smt)
        for core in range(total)
    )
    known = {"architecture": "x86_64", "cpu_model": "Test", "isa": (), "memory_bytes": 2**34} | fields
    return Hardware(cpus=cpus, allowed_cpus=tuple(cpu.id for cpu in cpus), cpu_quota=quota, **known)  # type: ignore[arg-type]
