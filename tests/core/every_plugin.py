"""Every plugin, the machines that it is asked about, and all values of its options."""

from __future__ import annotations

import itertools
from types import ModuleType
from typing import Any

import msgspec
import pytest

from autotune.core import interfaces, packages, plugins
from autotune.core.config import Config, WorkloadSettings
from autotune.core.machine import Hardware
from autotune.core.plugins import Kind
from autotune.core.struct import Value
from autotune.hardware import probe
from autotune.space import values as setting
from tests import machines

KINDS: tuple[Kind, ...] = ("knobs", "backends", "workloads")
ALL = [(kind, name) for kind in KINDS for name in plugins.names(kind)]
KNOBS, BACKENDS, PROVIDERS = (plugins.names(kind) for kind in KINDS)
FRAMEWORKS = ("torch", "torchvision", "torchao", "onnxruntime", "onnx", "openvino", "nncf", "timm", "transformers")
ALLOCATORS = {
    name: f"/usr/lib/lib{name}.so"
    for name in ("tcmalloc", "jemalloc", "mimalloc", "tbbmalloc", "tbbmalloc_core", "iomp5")
}
PACKAGES = dict.fromkeys(packages.named(), "1.0")
EQUIPPED: dict[str, Any] = {
    "libraries": ALLOCATORS,
    "packages": PACKAGES,
    "compiler": "/usr/bin/g++",
    "huge_page_mode": "madvise",
    "glibc": "2.36",
}


MACHINES: dict[str, Hardware] = {
    "AMX": machines.hardware(
        4,
        4,
        isa=("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"),
        smt=2,
        numactl="/usr/bin/numactl",
        **EQUIPPED,
    ),
    "AVX2": machines.hardware(6, isa=("avx2",), **EQUIPPED),
    "aarch64": machines.hardware(8, architecture="aarch64", isa=("asimd", "sve2", "bf16", "i8mm"), **EQUIPPED),
    "one core": machines.hardware(1, isa=("avx2",), **EQUIPPED),
    "no compiler": machines.hardware(2, isa=("avx2",), **{**EQUIPPED, "compiler": None}),
    "no packages": machines.hardware(2, isa=("avx2",), **{**EQUIPPED, "packages": {}}),
    "bare": machines.hardware(2, isa=(), huge_page_mode=None, glibc=None),
    "this": probe.probe(),
}


every_plugin = pytest.mark.parametrize(("kind", "name"), ALL)
every_knob = pytest.mark.parametrize("name", KNOBS)
every_machine = pytest.mark.parametrize("hw", MACHINES.values(), ids=MACHINES)


def contract(kind: Kind) -> type:
    return {"knobs": interfaces.Knob, "backends": interfaces.Backend, "workloads": interfaces.Provider}[kind]


def module(kind: Kind, name: str) -> ModuleType:
    loaded: Any = plugins.load(kind, name)
    return loaded


def option_values(name: str, hw: Hardware) -> list[dict[str, Value]]:
    """A backend's defaults, and these with one or two of its options at any other value."""
    backend = plugins.load("backends", name)
    offered = backend.domains(hw) if hasattr(backend, "domains") else {}
    choices = {
        option: offered.get(option) or setting.choices(kind) for option, kind in setting.kinds(backend.Options).items()
    }
    assert all(choices.values()), f"{name} has an option with neither a finite choice nor a domain"
    defaults: dict[str, Value] = msgspec.structs.asdict(plugins.backend_options(name, {}))
    singles = [{option: value} for option, values in choices.items() for value in values or ()]
    pairs = [one | other for one, other in itertools.combinations(singles, 2) if one.keys() != other.keys()]
    found = [defaults | changed for changed in [{}, *singles, *pairs]]
    return [values for index, values in enumerate(found) if values not in found[:index]]


def available_options(name: str, hw: Hardware) -> list[dict[str, Value]]:
    backend = plugins.load("backends", name)
    values = option_values(name, hw)
    return [o for o in values if backend.unavailable(plugins.backend_options(name, dict(o)), hw) is None]


def configured(backend: str, options: dict[str, Value], **knobs: Value) -> Config:
    return Config(workload=WorkloadSettings(batch_size=2), backend=backend, options=options, knobs=knobs)
