"""A machine made by hand, with every library and package that the tests' spaces name."""

from __future__ import annotations

from autotune.core.machine import Cpu, Hardware

LIBRARIES = {name: f"/usr/lib/lib{name}.so" for name in ("tcmalloc", "jemalloc")}
PACKAGES = dict.fromkeys(("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf"), "1.0")


def machine(cores: int = 2, architecture: str = "x86_64", isa: tuple[str, ...] = ("avx512f",)) -> Hardware:
    """A machine with every library and package that the spaces below name."""
    cpus = tuple(Cpu(id=i, core=i, socket=0, node=0) for i in range(cores))
    return Hardware(
        architecture=architecture,
        cpu_model="toy",
        isa=isa,
        cpus=cpus,
        allowed_cpus=tuple(range(cores)),
        memory_bytes=2**34,
        huge_page_mode="madvise",
        libraries=LIBRARIES,
        packages=PACKAGES,
        compiler="/usr/bin/g++",
    )
