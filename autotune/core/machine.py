"""The machine as `hardware.json` records it: CPUs, memory, libraries, packages, other Python environments."""

from __future__ import annotations

import msgspec

from autotune.core.errors import MachineError
from autotune.core.struct import FORMAT, Struct, Value, digest

OWN = "own"
"""The interpreter that autotune itself runs in."""


class Cpu(Struct):
    """One logical CPU as the kernel numbers it; SMT siblings share `core` (unique over the machine)."""

    id: int
    core: int
    socket: int
    node: int


class Environment(Struct):
    """Another Python environment whose interpreter may run workers: its folder, its version, what it has installed."""

    prefix: str
    python: str
    packages: dict[str, str] = {}


class Hardware(Struct):
    """A machine: its type (CPU, memory, instance), what we may use of it, and what is installed.

    Plugins decide from this alone whether they are available, so a recorded one can be planned for elsewhere.
    `environments` are by name; `numactl` is its path where this process may bind memory with it; `energy` says whether
    the energy counters of all CPU packages can be read.
    """

    architecture: str
    cpu_model: str
    isa: tuple[str, ...]
    cpus: tuple[Cpu, ...]
    allowed_cpus: tuple[int, ...]
    memory_bytes: int
    cpu_quota: float | None = None
    memory_limit_bytes: int | None = None
    caches: dict[str, int] = {}
    huge_page_mode: str | None = None
    glibc: str | None = None
    kernel: str = ""
    instance_type: str = ""
    libraries: dict[str, str] = {}
    packages: dict[str, str] = {}
    compiler: str | None = None
    numactl: str | None = None
    environments: dict[str, Environment] = {}
    energy: bool = False
    format: int = FORMAT

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def cores(self) -> tuple[Cpu, ...]:
        """One usable CPU per physical core, in node order, at most as many as the quota can keep busy."""
        first: dict[int, Cpu] = {}
        allowed = set(self.allowed_cpus)
        for cpu in sorted(self.cpus, key=lambda cpu: (cpu.node, cpu.socket, cpu.core, cpu.id)):
            if cpu.id in allowed:
                first.setdefault(cpu.core, cpu)
        usable = tuple(first.values())
        if self.cpu_quota is None:
            return usable
        return usable[: max(1, -int(-self.cpu_quota // 1))]

    def has(self, interpreter: Value) -> bool:
        """True for autotune's own interpreter and those of `environments`."""
        return interpreter == OWN or interpreter in self.environments

    def seen_by(self, interpreter: Value) -> Hardware:
        """The same machine with the packages of an environment; MachineError if it was removed since it was chosen."""
        if interpreter == OWN:
            return self
        if interpreter not in self.environments:
            here = ", ".join(self.environments) or "none"
            raise MachineError(
                f"there is no environment {interpreter} that can run workers here (there are: {here}); "
                "make it again with `python -m autotune environments create` or `add`"
            )
        return msgspec.structs.replace(self, packages=self.environments[str(interpreter)].packages)

    @property
    def saturates(self) -> bool:
        """True where 8-bit products are summed in 16 bits: x86 without VNNI. There, one factor of int8 has 7 bits."""
        return self.architecture == "x86_64" and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(self.isa)

    @property
    def usable_memory_bytes(self) -> int:
        """The memory a trial may use: the smaller of the machine's and the cgroup's."""
        return min(self.memory_bytes, self.memory_limit_bytes or self.memory_bytes)

    @property
    def fingerprint(self) -> str:
        """12 hex digits that are equal on machines of the same type, whatever their host or free memory."""
        topology = sorted((cpu.socket, cpu.node, cpu.core, cpu.id) for cpu in self.cpus)
        kind = (
            self.architecture,
            self.cpu_model,
            sorted(self.isa),
            topology,
            list(self.allowed_cpus),
            self.cpu_quota,
            round(self.usable_memory_bytes / 2**30),
            self.instance_type,
        )
        return digest(kind)[:12]
