from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest
from rich.console import Console

from autotune.core import plugins
from autotune.core.machine import Hardware
from autotune.hardware import probe
from autotune.report.text import doctor
from tests import machines
from tests.fake_hardware import LIBRARIES, PACKAGES

RECORDED = [
    machines.c7i_xlarge,
    machines.c8g_xlarge,
    machines.two_sockets,
    machines.container,
    machines.container_v1,
    machines.amd,
]


def probed(record: Callable[[Path], Path], root: Path, *, installed: bool = False) -> Hardware:
    """A recorded machine without packages and libraries, or with all of them."""
    hw = probe.probe(record(root), prefix="/nowhere", path=[])
    return msgspec.structs.replace(hw, packages=PACKAGES, libraries=LIBRARIES, compiler="/g++") if installed else hw


def written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def declared(kind: Any) -> set[str]:
    """The values that a plugin's own annotation allows."""
    values = (False, True) if kind is bool else get_args(kind) if get_origin(kind) is not None else ()
    return {written(value) for value in values if isinstance(value, bool | str)}


def printed(hw: Hardware) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    doctor.print_to(console, hw)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("record", RECORDED)
def test_every_value_is_to_be_had_or_has_a_reason(
    record: Callable[[Path], Path], installed: bool, tmp_path: Path
) -> None:
    hw = probed(record, tmp_path, installed=installed)
    found: dict[str, set[str]] = {}
    for entry in doctor.findings(hw):
        found.setdefault(entry.setting, set()).add(entry.value)
        assert entry.reason is None or len(entry.reason) > 10
    assert found["allocator"] == {"system", "tcmalloc", "jemalloc", "mimalloc", "tbbmalloc"}
    assert found["huge_pages"] == {"false", "true"}
    assert f"1x{len(hw.cores)}" in found["layout"]
    assert set(plugins.names("knobs")) < found.keys()
    assert found["backend"] == set(plugins.names("backends")) > {"torch_eager", "onnxruntime"}
    for backend in plugins.names("backends") if installed else ():
        plugin: Any = plugins.load("backends", backend)
        offered = plugin.domains(hw) if hasattr(plugin, "domains") else {}
        for field in msgspec.structs.fields(plugin.Options) if "module" in plugin.runs else ():
            values = declared(field.type) or {written(value) for value in offered[field.name]}
            assert found.get(f"{backend}.{field.name}", values) == values, (backend, field.name)


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("record", RECORDED)
def test_each_finding_is_one_line_or_in_its_settings_line(
    record: Callable[[Path], Path], installed: bool, tmp_path: Path
) -> None:
    hw = probed(record, tmp_path, installed=installed)
    text = printed(hw)
    assert "\x1b" not in text
    available, _, missing = text.partition("\nnot available here:\n")
    for entry in doctor.findings(hw):
        if entry.reason is None:
            (line,) = [line for line in available.splitlines() if line.startswith(f"{entry.setting} ")]
            assert entry.value in line.split(maxsplit=1)[1].split(", ")
        else:
            assert f"{entry.setting} {entry.value}".ljust(34) + entry.reason in missing.splitlines()


def test_bfloat16_is_offered_where_the_cpu_has_it(tmp_path: Path) -> None:
    def reasons(record: Callable[[Path], Path]) -> list[str | None]:
        found = doctor.findings(probed(record, tmp_path / record.__name__, installed=True))
        return [
            entry.reason for entry in found if (entry.setting, entry.value) == ("torch_eager.precision", "bfloat16")
        ]

    assert reasons(machines.c7i_xlarge) == reasons(machines.c8g_xlarge) == [None]
    (reason,) = reasons(machines.amd)
    assert reason is not None and "AVX512_BF16" in reason


def test_an_option_that_needs_another_is_to_be_had(tmp_path: Path) -> None:
    found = doctor.findings(probed(machines.c7i_xlarge, tmp_path, installed=True))
    reasons = {(entry.setting, entry.value): entry.reason for entry in found}
    assert reasons["torch_compile.mode", "max-autotune"] is None
    assert reasons["torch_compile.weight_prepack", "false"] is None
    assert reasons["openvino.requests", "0"] is None
    assert reasons["openvino.precision", "float16"] is not None


def test_whole_numbers_that_cannot_be_had_are_named_too(tmp_path: Path) -> None:
    found = doctor.findings(probed(machines.c7i_xlarge, tmp_path))
    reasons = {(entry.setting, entry.value): entry.reason for entry in found}
    assert reasons["block_time", "200"] is None
    assert all(reasons[key] for key in (("block_time", "1"), ("primitive_cache", "1024")))


def test_what_can_be_installed_says_how(tmp_path: Path) -> None:
    for entry in doctor.findings(probed(machines.c7i_xlarge, tmp_path)):
        if entry.setting in ("allocator", "backend") and entry.reason is not None:
            assert "apt-get install" in entry.reason or "pip install" in entry.reason


def test_a_finding_for_this_machine(this_machine: Hardware) -> None:
    assert ("allocator", "system", None) in [(f.setting, f.value, f.reason) for f in doctor.findings(this_machine)]


def test_the_machine_in_a_few_lines(tmp_path: Path) -> None:
    hw = probed(machines.container, tmp_path)
    assert [line.split(maxsplit=1) for line in doctor.machine(hw)] == [
        ["machine", f"intel-xeon-platinum-8480-2c ({hw.fingerprint})"],
        ["cpu", "Intel(R) Xeon(R) Platinum 8480+: 2 socket(s), 112 cores, 224 threads, 2 NUMA node(s)"],
        ["usable", "2 cores of CPUs 2-5, 114-117, quota 1.5 CPUs"],
        ["quota", f"2 threads exceed it: {doctor.OVER_QUOTA}"],
        ["isa", "avx2, avx512f, avx512_vnni, avx_vnni, avx512_bf16, amx_tile, amx_bf16, amx_int8"],
        ["memory", "4.0 GiB, transparent huge pages: never"],
        ["software", "glibc ?"],
    ]


def test_software_and_scattered_cpus(tmp_path: Path) -> None:
    hw = probed(machines.container_v1, tmp_path)
    lines = doctor.machine(msgspec.structs.replace(hw, packages={"torch": "2.9", "onnx": "1.2"}, glibc="2.36"))
    assert "usable     1 cores of CPUs 0, 2, quota 0.5 CPUs" in lines
    assert "software   glibc 2.36, onnx 1.2, torch 2.9" in lines
