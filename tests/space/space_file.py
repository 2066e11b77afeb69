"""A space file that tests write, and the machine that it is read on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autotune.core.errors import SpaceError
from autotune.core.machine import Cpu, Hardware
from autotune.core.space_types import Space
from autotune.space import load as loading

HEAD = """\
name: toy
workload:
  model: torchvision:resnet18
  inputs: [{shape: [batch, 3, 32, 32]}]
"""
SEARCH = HEAD + "search:\n  "  # the next thing written stands on line 6
OPTIONS = SEARCH + "backend:\n    "  # and here on line 7
BASELINE = HEAD + "search: {}\nbaseline:\n  "  # on line 7


def machine(cores: int = 2, **changes: Any) -> Hardware:
    plain: dict[str, Any] = {
        "architecture": "x86_64",
        "cpu_model": "toy",
        "isa": ("avx512f",),
        "cpus": tuple(Cpu(id=i, core=i, socket=0, node=0) for i in range(cores)),
        "allowed_cpus": tuple(range(cores)),
        "memory_bytes": 2**34,
        "huge_page_mode": "madvise",
        "libraries": {"tcmalloc": "/usr/lib/libtcmalloc.so"},
        "packages": dict.fromkeys(
            ("torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf", "timm", "transformers"),
            "1",
        ),
        "compiler": "/usr/bin/g++",
    }
    return Hardware(**plain | changes)


def load(text: str, hw: Hardware | None = None) -> Space:
    """The space of a file named space.yaml in the current folder."""
    Path("space.yaml").write_text(text)
    return loading.load(Path("space.yaml"), hw or machine())


def refusal(text: str, hw: Hardware | None = None) -> str:
    with pytest.raises(SpaceError) as caught:
        load(text, hw)
    return str(caught.value)


def hinted_axes(options: str) -> dict[str, tuple[object, ...]]:
    """The values of the options of a searched backend `hinted`."""
    return load(f"{SEARCH}backend: {{hinted: {{{options}}}}}").domains.backends["hinted"]
