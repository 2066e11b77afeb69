import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.machine import Hardware
from autotune.hardware.probe import probe
from autotune.knobs import numa
from tests.backends.child import configured
from tests.machines import hardware

HERE = probe()
NUMACTL = "/usr/bin/numactl"
TWO = hardware(2, 2, numactl=NUMACTL)
ROOT = Path(__file__).parents[2]


def test_where_there_are_several_nodes() -> None:
    assert numa.domain(TWO) == ("default", "bind", "interleave")
    assert numa.domain(hardware(4, numactl=NUMACTL)) == ("default",)
    assert numa.unavailable("bind", hardware(4, numactl=NUMACTL)) == "this machine has one NUMA node"
    reason = numa.unavailable("interleave", hardware(2, 2)) or ""
    assert "apt-get install numactl" in reason and "SYS_NICE" in reason


def test_launch() -> None:
    assert numa.launch("default", TWO).argv_prefix == ()
    assert numa.launch("bind", TWO).argv_prefix == (NUMACTL, "--membind={node}")
    assert numa.launch("interleave", TWO).argv_prefix == (NUMACTL, "--interleave=all")
    assert numa.without_effect("bind", configured("onnxruntime"), ("onnxruntime",)) is None


@pytest.mark.parametrize(
    ("value", "mode", "nodes", "own", "reason"),
    [
        ("bind", 2, {0}, {0}, None),
        ("bind", 2, {0, 1}, {0, 1}, None),
        ("bind", 2, {1}, {0}, "memory is bound to nodes 1, and the worker's cores are on 0"),
        ("bind", 2, {0}, {0, 1}, "memory is bound to nodes 0, and the worker's cores are on 0, 1"),
        ("bind", 0, set(), {0}, "the kernel's memory policy is 0, not 2 (bind)"),
        ("bind", 3, {0}, {0}, "the kernel's memory policy is 3, not 2 (bind)"),
        ("interleave", 3, {0, 1}, {0}, None),
        ("interleave", 3, {0}, {0}, "memory is interleaved over node 0 alone"),
        ("interleave", 2, {0, 1}, {0}, "the kernel's memory policy is 2, not 3 (interleave)"),
    ],
)
def test_mismatch(value: numa.Value, mode: int, nodes: set[int], own: set[int], reason: str | None) -> None:
    assert numa.mismatch(value, mode, nodes, own) == reason


CHILD = """
import sys
import msgspec
from autotune.knobs import numa
from autotune.core.machine import Hardware
hw = msgspec.json.decode(sys.argv[1], type=Hardware)
print(numa.applied("default", hw), numa.applied("bind", hw), numa.applied("interleave", hw), sep="|")
"""


def said(value: numa.Value, hw: Hardware) -> list[str]:
    """The answers for all values of a child that runs under one of them, on node 0."""
    prefix = [part.replace("{node}", "0") for part in numa.launch(value, hw).argv_prefix]
    argv = [*prefix, sys.executable, "-c", CHILD, msgspec.json.encode(hw).decode()]
    done = subprocess.run(argv, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True)
    return done.stdout.strip().split("|")


def test_the_kernel_tells() -> None:
    if HERE.numactl is None:
        pytest.skip("needs numactl, and leave to bind memory")
    if {cpu.node for cpu in HERE.cpus} != {0}:
        pytest.skip("needs one node")
    assert said("default", HERE)[1:] == [
        "the kernel's memory policy is 0, not 2 (bind)",
        "the kernel's memory policy is 0, not 3 (interleave)",
    ]
    assert said("bind", HERE)[:2] == ["None", "None"]
    assert said("interleave", HERE)[2] == "memory is interleaved over node 0 alone"
    moved = [msgspec.structs.replace(cpu, node=1) for cpu in HERE.cpus]
    elsewhere = msgspec.structs.replace(HERE, cpus=tuple(moved))
    assert said("bind", elsewhere)[1] == "memory is bound to nodes 0, and the worker's cores are on 1"
