import os
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.config import Layout
from autotune.core.machine import Hardware
from autotune.knobs import layout
from tests.machines import hardware

machines = st.builds(
    hardware,
    st.integers(1, 9),
    st.integers(0, 9),
    st.integers(0, 9),
    smt=st.sampled_from([1, 2]),
    quota=st.none() | st.floats(0.1, 30),
)
layouts = st.builds(lambda workers, threads: f"{workers}x{threads}", st.integers(1, 12), st.integers(1, 12))
TWO_SOCKETS = hardware(56, 56, smt=2)


@given(machines, layouts)
def test_placements_fit_and_are_disjoint(hw: Hardware, value: str) -> None:
    if layout.unavailable(value, hw):
        with pytest.raises(ValueError, match="needs"):
            layout.placements(value, hw)
        return
    wanted = Layout.parse(value)
    placed = layout.placements(value, hw)
    assert placed == layout.placements(value, hw)
    assert len(placed) == wanted.workers
    assert all(len(place.cpus) == place.threads == wanted.threads for place in placed)
    cpus = [cpu for place in placed for cpu in place.cpus]
    core_of = {cpu.id: cpu.core for cpu in hw.cpus}
    assert len({core_of[cpu] for cpu in cpus}) == len(cpus) == wanted.workers * wanted.threads
    assert set(cpus) <= {cpu.id for cpu in hw.cores}


@given(machines, layouts)
def test_no_worker_straddles_nodes_without_need(hw: Hardware, value: str) -> None:
    if layout.unavailable(value, hw):
        return
    wanted = Layout.parse(value)
    node_of = {cpu.id: cpu.node for cpu in hw.cpus}
    placed = layout.placements(value, hw)
    for place in placed:
        nodes = {node_of[cpu] for cpu in place.cpus}
        assert place.node == (nodes.pop() if len(nodes) == 1 else None)
    sizes = [[cpu.node for cpu in hw.cores].count(node) for node in {cpu.node for cpu in hw.cores}]
    room = sum(size // wanted.threads for size in sizes)
    assert sum(place.node is not None for place in placed) >= min(wanted.workers, room)


@given(machines)
def test_domain_fits_and_holds_the_default(hw: Hardware) -> None:
    domain = layout.domain(hw)
    assert layout.default(hw) in domain
    assert len(set(domain)) == len(domain)
    assert all(layout.unavailable(value, hw) is None for value in domain)
    cores = len(hw.cores)
    if cores <= 16:
        assert len(domain) == sum(cores // workers for workers in range(1, cores + 1))


def test_domain_of_four_cores() -> None:
    assert layout.domain(hardware(4)) == ("1x1", "1x2", "1x3", "1x4", "2x1", "2x2", "3x1", "4x1")


def test_domain_of_two_sockets_is_short_and_fills_the_machine() -> None:
    domain = layout.domain(TWO_SOCKETS)
    assert len(domain) < 80
    assert {"1x112", "2x56", "4x28", "7x16", "14x8", "56x2", "112x1", "1x56", "1x32"} <= set(domain)
    assert "3x5" not in domain


def test_domain_has_the_size_of_each_node() -> None:
    assert {"1x24", "1x10", "2x10"} <= set(layout.domain(hardware(24, 10)))


def test_combine() -> None:
    hw = hardware(4)
    assert layout.combine([1, 2], [1, 2, 3], hw) == ("1x1", "1x2", "1x3", "2x1", "2x2")
    assert layout.combine([2, 2], None, hw) == ("2x1", "2x2")
    assert layout.combine(None, [4], hw) == ("1x4",)
    assert layout.combine([8], None, hw) == ()
    assert layout.combine([0, 1, -1], [1], hw) == ("1x1",)


def test_combine_fills_a_big_machine_beside_a_given_number() -> None:
    assert "3x37" in layout.combine([3], None, TWO_SOCKETS)
    assert "37x3" in layout.combine(None, [3], TWO_SOCKETS)
    assert layout.combine(None, None, TWO_SOCKETS) == layout.domain(TWO_SOCKETS)


def test_default_is_one_worker_on_all_cores() -> None:
    assert layout.default(TWO_SOCKETS) == "1x112"
    assert layout.default(hardware(8, quota=1.5)) == "1x2"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1x4", None),
        ("4x1", None),
        ("2x3", "2x3 needs 6 cores, and 4 are usable"),
        ("5x1", "5x1 needs 5 cores, and 4 are usable"),
        ("two", "a layout is written WORKERSxTHREADS, such as 2x1; got 'two'"),
    ],
)
def test_unavailable(value: str, reason: str | None) -> None:
    assert layout.unavailable(value, hardware(4, smt=2)) == reason


def test_unavailable_names_the_quota() -> None:
    assert layout.unavailable("1x4", hardware(4, quota=1.5)) == (
        "1x4 needs 4 cores, and 2 are usable (the CPU quota is 1.5)"
    )


def test_launch_sizes_every_pool() -> None:
    assert layout.launch("2x3", hardware(8)).env == {
        "OMP_NUM_THREADS": "3",
        "MKL_NUM_THREADS": "3",
        "OPENBLAS_NUM_THREADS": "3",
    }


def test_workers_are_spread_over_nodes_and_have_neighbouring_cores() -> None:
    one, two = layout.placements("2x28", TWO_SOCKETS)
    assert (one.cpus, one.node) == (tuple(range(28)), 0)
    assert (two.cpus, two.node) == (tuple(range(56, 84)), 1)
    full = layout.placements("4x28", TWO_SOCKETS)
    assert [place.cpus for place in full] == [tuple(range(start, start + 28)) for start in (0, 28, 56, 84)]
    assert [place.node for place in full] == [0, 0, 1, 1]


def test_a_worker_larger_than_a_node_straddles() -> None:
    (all_of_it,) = layout.placements("1x112", TWO_SOCKETS)
    assert all_of_it.cpus == tuple(range(112))
    assert all_of_it.node is None
    assert [place.node for place in layout.placements("3x2", hardware(3, 3))] == [0, None, 1]


FOUR = hardware(4, smt=2)
ENVIRON = dict.fromkeys(layout.THREAD_VARIABLES, "2")


@pytest.mark.parametrize(
    ("mask", "environ", "reason"),
    [
        ({0, 1}, ENVIRON, None),
        ({0, 1, 2}, ENVIRON, "the worker may run on 3 CPUs, and 2x2 gives it 2"),
        ({0}, ENVIRON, "the worker may run on 1 CPUs, and 2x2 gives it 2"),
        ({0, 4}, ENVIRON, "the worker's 2 CPUs (0, 4) share physical cores"),
        ({0, 99}, ENVIRON, None),
        ({0, 1}, {}, "OMP_NUM_THREADS is not set, and 2x2 needs 2"),
        ({0, 1}, ENVIRON | {"MKL_NUM_THREADS": "4"}, "MKL_NUM_THREADS is 4, and 2x2 needs 2"),
    ],
)
def test_mismatch(mask: set[int], environ: dict[str, str], reason: str | None) -> None:
    assert layout.mismatch("2x2", FOUR, mask, environ) == reason


CHILD = """
import os, sys
from autotune.knobs import layout
from autotune.hardware.probe import probe
hw = probe()
print(layout.applied("1x1", hw))
os.sched_setaffinity(0, layout.placements("1x1", hw)[0].cpus)
print(layout.applied("1x1", hw))
"""


def test_applied_in_a_child() -> None:
    environ = {**os.environ, **dict.fromkeys(layout.THREAD_VARIABLES, "1")}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environ, capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    assert after == "None"
    if len(os.sched_getaffinity(0)) > 1:
        assert before.endswith("CPUs, and 1x1 gives it 1")


def test_every_pair_that_fits_can_be_placed() -> None:
    hw = hardware(3, 5)
    for workers, threads in product(range(1, 9), range(1, 9)):
        if workers * threads <= 8:
            assert len(layout.placements(f"{workers}x{threads}", hw)) == workers
