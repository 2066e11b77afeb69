"""Number of workers side by side and of threads in each: `2x1` is two workers of one thread.

Threads are physical cores: a worker has one hardware thread of each of its cores, so that no two threads share one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Annotated

import msgspec

from autotune.core.config import Config, Layout, Placement
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Cpu, Hardware
from autotune.knobs import openmp

Value = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]*x[1-9][0-9]*$", description="WORKERSxTHREADS, such as 2x1")]

# Up to this many cores every pair is offered (50 of them for 16); above, only pairs of `_sizes`.
EVERY_PAIR_UP_TO = 16

# One variable for each thread pool that would otherwise size itself: OpenMP's, MKL's, OpenBLAS's (numpy's).
# OMP_DYNAMIC stays unset: false is its default in libgomp and libiomp5, and a child inherits none.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def default(hw: Hardware) -> str:
    """One worker on all usable cores, as a program that knows nothing of layouts runs."""
    return f"1x{len(hw.cores)}"


def domain(hw: Hardware) -> tuple[str, ...]:
    """All layouts that fit the usable cores; on more than 16 cores those of sensible sizes (see `combine`)."""
    return combine(None, None, hw)


def combine(workers: Sequence[int] | None, threads: Sequence[int] | None, hw: Hardware) -> tuple[str, ...]:
    """The layouts of every number of workers with every number of threads that fit, sorted; None is auto.

    Auto is every number on up to 16 cores. Above, it is the powers of two, the divisors of the number of cores (they
    leave none idle) and the cores of one NUMA node, and beside a given number whatever fills the machine best with it.
    What `unavailable` has a reason against is left out.
    """
    counts = _auto(hw, threads) if workers is None else workers
    sizes = _auto(hw, workers) if threads is None else threads
    fitting = {pair for pair in product(counts, sizes) if unavailable(f"{pair[0]}x{pair[1]}", hw) is None}
    return tuple(f"{count}x{size}" for count, size in sorted(fitting))


def unavailable(value: str, hw: Hardware) -> str | None:
    """The reason that a layout cannot be had: it is not one, or it needs more cores than are usable."""
    try:
        layout = Layout.parse(value)
    except ValueError as error:
        return str(error)
    needed = layout.workers * layout.threads
    if needed <= len(hw.cores):
        return None
    quota = "" if hw.cpu_quota is None else f" (the CPU quota is {hw.cpu_quota:g})"
    return f"{value} needs {needed} cores, and {len(hw.cores)} are usable{quota}"


def without_effect(value: str, config: Config, packages: tuple[str, ...]) -> str | None:
    """Never: every backend runs on its workers' threads."""
    return None


def launch(value: str, hw: Hardware) -> LaunchPatch:
    """The thread count for every pool that reads one from the environment; pinning is by `placements`."""
    threads = str(Layout.parse(value).threads)
    return LaunchPatch(env=dict.fromkeys(THREAD_VARIABLES, threads))


def placements(value: str, hw: Hardware) -> tuple[Placement, ...]:
    """The CPUs of each worker, disjoint, one hardware thread of each core, in the order of nodes.

    A worker's cores are neighbours on one NUMA node as long as any node has room for them, each worker on the node
    with most room left, so that a machine which is not full is loaded evenly. `node` is set when all CPUs of the worker
    are on it. ValueError if the layout does not fit.
    """
    if reason := unavailable(value, hw):
        raise ValueError(reason)
    layout = Layout.parse(value)
    free: dict[int, list[Cpu]] = {}
    for cpu in hw.cores:
        free.setdefault(cpu.node, []).append(cpu)
    taken: list[list[Cpu]] = []
    for _ in range(layout.workers):
        roomiest = max(free, key=lambda node: len(free[node]))
        if len(free[roomiest]) < layout.threads:
            break
        taken.append(_take(free[roomiest], layout.threads))
    # No node can hold another worker: the others straddle what is left.
    rest = [cpu for cpus in free.values() for cpu in cpus]
    taken += [_take(rest, layout.threads) for _ in range(layout.workers - len(taken))]
    order = {cpu.id: index for index, cpu in enumerate(hw.cores)}
    return tuple(_placement(cpus) for cpus in sorted(taken, key=lambda cpus: order[cpus[0].id]))


def applied(value: str, hw: Hardware) -> str | None:
    """In a worker: why it does not run as the layout says, or None.

    Its mask is that of the calling thread, and no other thread may reach beyond it. An OpenMP runtime that binds its
    threads narrows the calling one too, as soon as it is imported; the mask is then what all threads together have,
    after those of a parallel region were started. The thread counts of the frameworks themselves are for the backends
    to prove.
    """
    if openmp.binds(os.environ):
        openmp.team()
        return mismatch(value, hw, reach(), os.environ)
    mask = os.sched_getaffinity(0)
    if astray := reach() - mask:
        return f"a thread of the worker may also run on CPUs {listed(astray)}"
    return mismatch(value, hw, mask, os.environ)


def mismatch(value: str, hw: Hardware, mask: Collection[int], environ: Mapping[str, str]) -> str | None:
    """Reason why a worker with this affinity mask and environment has not this layout, or None."""
    threads = Layout.parse(value).threads
    if len(mask) != threads:
        return f"the worker may run on {len(mask)} CPUs, and {value} gives it {threads}"
    cores = {cpu.id: cpu.core for cpu in hw.cpus}
    # Two numbers for one core would be hyperthreads; a CPU that is not known counts as a core of its own.
    if len({cores.get(cpu, -1 - cpu) for cpu in mask}) != threads:
        return f"the worker's {threads} CPUs ({listed(mask)}) share physical cores"
    for name in THREAD_VARIABLES:
        if environ.get(name) != str(threads):
            return f"{name} is {environ.get(name, 'not set')}, and {value} needs {threads}"
    return None


def reach() -> set[int]:
    """The CPUs that any thread of this process may run on."""
    return {cpu for thread in os.listdir("/proc/self/task") for cpu in _mask(int(thread))}


def _auto(hw: Hardware, beside: Sequence[int] | None) -> Sequence[int]:
    """The numbers that auto stands for, given the numbers on the other side (None: auto as well)."""
    cores = len(hw.cores)
    if cores <= EVERY_PAIR_UP_TO:
        return range(1, cores + 1)
    fills = {cores // given for given in beside or () if 0 < given <= cores}
    return sorted(_sizes(hw) | fills)


def _sizes(hw: Hardware) -> set[int]:
    """Powers of two, divisors of the number of cores, and the number of cores on each node."""
    cores = len(hw.cores)
    powers = {2**exponent for exponent in range(cores.bit_length())}
    divisors = {size for size in range(1, cores + 1) if cores % size == 0}
    nodes = [cpu.node for cpu in hw.cores]
    return powers | divisors | {nodes.count(node) for node in nodes}


def _take(cpus: list[Cpu], count: int) -> list[Cpu]:
    """The first of a list, which loses them."""
    first, cpus[:] = cpus[:count], cpus[count:]
    return first


def _placement(cpus: list[Cpu]) -> Placement:
    nodes = {cpu.node for cpu in cpus}
    return Placement(
        cpus=tuple(cpu.id for cpu in cpus),
        threads=len(cpus),
        node=nodes.pop() if len(nodes) == 1 else None,
    )


def _mask(thread: int) -> set[int]:
    """The CPUs of a thread; none for one that has ended meanwhile."""
    try:
        return os.sched_getaffinity(thread)
    except ProcessLookupError:
        return set()


def listed(numbers: Collection[int]) -> str:
    """`0, 2, 3`."""
    return ", ".join(map(str, sorted(numbers)))
