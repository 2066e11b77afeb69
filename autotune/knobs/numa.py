"""On which NUMA nodes a worker's memory lies: where the kernel puts it, on the nodes of its cores, or over all in turn.

By default the kernel takes the node of the core that first touches a page, and another when that is full.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from typing import Literal

from autotune.core.config import Config
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.hardware.probe import MEMPOLICY
from autotune.knobs import layout

Value = Literal["default", "bind", "interleave"]

OPTIONS = {"bind": "--membind={node}", "interleave": "--interleave=all"}
MODES = {"bind": 2, "interleave": 3}
"""MPOL_BIND and MPOL_INTERLEAVE of linux/mempolicy.h."""

MODE_FLAGS = 0xE000
NODES = 1024
"""As many as any kernel counts."""


def default(hw: Hardware) -> Value:
    """The kernel's policy."""
    return "default"


def domain(hw: Hardware) -> tuple[Value, ...]:
    """All where there are several nodes and numactl may bind memory."""
    return ("default", "bind", "interleave") if unavailable("bind", hw) is None else ("default",)


def unavailable(value: Value, hw: Hardware) -> str | None:
    """The reason that there is nothing to choose, or that the choice is not ours."""
    if value == "default":
        return None
    if len({cpu.node for cpu in hw.cpus}) < 2:
        return "this machine has one NUMA node"
    if hw.numactl is None:
        return (
            "numactl is missing or may not bind memory here; apt-get install numactl, in a container --cap-add SYS_NICE"
        )
    return None


def without_effect(value: Value, config: Config, packages: tuple[str, ...]) -> str | None:
    """Never: every backend has memory."""
    return None


def launch(value: Value, hw: Hardware) -> LaunchPatch:
    """The program to start the worker with; the launcher writes the nodes of the worker's cores in place of {node}."""
    if value == "default":
        return LaunchPatch()
    return LaunchPatch(argv_prefix=(hw.numactl or "numactl", OPTIONS[value]))


def applied(value: Value, hw: Hardware) -> str | None:
    """In the process: why the kernel places its memory otherwise, or None; `default` asks for nothing."""
    if value == "default":
        return None
    mode, nodes = ctypes.c_int(), (ctypes.c_ulong * (NODES // 64))()
    get = ctypes.CDLL(None, use_errno=True).syscall
    if get(MEMPOLICY.get(hw.architecture, (-1, -1))[0], ctypes.byref(mode), nodes, ctypes.c_ulong(NODES), None, 0):
        return f"the memory policy cannot be proven: {os.strerror(ctypes.get_errno())}"
    bits = sum(word << 64 * index for index, word in enumerate(nodes))
    chosen = {node for node in range(NODES) if bits >> node & 1}
    reach = layout.reach()
    return mismatch(value, mode.value & ~MODE_FLAGS, chosen, {cpu.node for cpu in hw.cpus if cpu.id in reach})


def mismatch(value: Value, mode: int, nodes: Collection[int], own: Collection[int]) -> str | None:
    """Why a policy of this mode and nodes is not `value` for a worker whose cores are on the nodes `own`."""
    if mode != MODES[value]:
        return f"the kernel's memory policy is {mode}, not {MODES[value]} ({value})"
    if value == "bind" and set(nodes) != set(own):
        return f"memory is bound to nodes {layout.listed(nodes)}, and the worker's cores are on {layout.listed(own)}"
    if value == "interleave" and len(nodes) < 2:
        return f"memory is interleaved over node {layout.listed(nodes)} alone"
    return None
