"""The machines in `autotune/machines`: what a probe finds in the trees of `machines`, with software laid beside it.

python -m tests.recorded        writes them anew, such as after a change of constraints.txt
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from autotune.core import packages
from autotune.core.machine import Hardware
from autotune.hardware import probe
from autotune.report.text import recorded_machines
from tests import machines

Tree = Callable[[Path], Path]

TREES: dict[str, Tree] = {
    "c7i.xlarge": machines.c7i_xlarge,
    "c8g.xlarge": machines.c8g_xlarge,
    "two-socket-112c": machines.two_sockets,
    "container-1.5cpu": machines.container,
}
CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
PREFIX = "/opt/autotune"
SITE = f"{PREFIX}/lib/python3.12/site-packages"
GLIBC = "2.39"


def record(tree: Tree, root: Path) -> Hardware:
    """The machine of a tree, written to `root`, on which Ubuntu 24.04 has everything that autotune can use.

    Only containers lack numactl: by default they may not bind memory.
    """
    bare = probe.probe(tree(root), prefix="/nowhere", path=[])
    machines.write(root, _libraries(bare.architecture) | _packages())
    for program in ("g++",) if bare.cpu_quota else ("g++", "numactl"):
        machines.write(root, {f"/usr/bin/{program}": b""})
        (root / "usr/bin" / program).chmod(0o755)
    return probe.probe(root, glibc=GLIBC, prefix=PREFIX, path=[SITE])


def rendered(hw: Hardware) -> str:
    """As JSON with a line for each field."""
    fields = msgspec.json.decode(msgspec.json.encode(hw), type=dict[str, msgspec.Raw])
    return "{\n" + ",\n".join(f'"{name}": {bytes(raw).decode()}' for name, raw in fields.items()) + "\n}\n"


def _libraries(architecture: str) -> dict[str, bytes]:
    """Ubuntu's allocators where its packages put them; on x86 also what the wheels tbb and intel-openmp bring."""
    arm = architecture == "aarch64"
    names = [f"/usr/lib/{architecture}-linux-gnu/{name}" for name in _ALLOCATORS]
    names += [] if arm else [f"{PREFIX}/lib/{name}" for name in _WHEELS]
    return dict.fromkeys(names, machines.elf(machines.AARCH64 if arm else machines.X86_64))


_ALLOCATORS = ("libtcmalloc_minimal.so.4", "libjemalloc.so.2", "libmimalloc.so.2")
_WHEELS = ("libtbbmalloc_proxy.so.2", "libtbbmalloc.so.2", "libiomp5.so")


def _packages() -> dict[str, str]:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE))
    return {
        f"{SITE}/{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}"
        for name, version in pinned.items()
        if name in packages.named()
    }


if __name__ == "__main__":
    for name, tree in TREES.items():
        with tempfile.TemporaryDirectory() as root:
            (recorded_machines.MACHINES / f"{name}.json").write_text(rendered(record(tree, Path(root))))
