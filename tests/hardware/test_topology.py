from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.core.machine import Cpu
from autotune.hardware import topology
from tests import machines

FOUR = tuple(Cpu(id=number, core=number, socket=0, node=0) for number in range(4))


def cpus(root: Path, affinity: tuple[int, ...] = ()) -> list[tuple[int, int, int, int]]:
    """(id, core, socket, node) of each CPU."""
    found = topology.cpus(root, topology.cpuinfo(root), affinity)
    return [(cpu.id, cpu.core, cpu.socket, cpu.node) for cpu in found]


def test_cpuinfo_is_one_dictionary_a_cpu(tmp_path: Path) -> None:
    text = (
        "preamble : x\nprocessor\t: 0\nmodel name\t: A : B\n\nprocessor\t: 3\nmodel name\t: C\nmodel name\t: D\nempty"
    )
    machines.write(tmp_path, {"/proc/cpuinfo": text})
    assert topology.cpuinfo(tmp_path) == [
        {"processor": "0", "model name": "A : B", "": ""},
        {"processor": "3", "model name": "C", "empty": ""},
    ]


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("0x41", 65), ("-1", -1), (" 3 ", 3), ("", 7), ("x", 7), ("1.5", 7), ("0x", 7)]
)
def test_an_integer_or_else(text: str, number: int) -> None:
    assert topology.integer(text, 7) == number


def test_cores_are_numbered_socket_by_socket(tmp_path: Path) -> None:
    # CPU numbers that alternate between sockets, and core ids with gaps
    places = {0: (0, 0), 1: (1, 0), 2: (0, 9), 3: (1, 9), 4: (0, 0), 5: (1, 0), 6: (0, 9), 7: (1, 9)}
    machines.write(tmp_path, machines.topology(places) | machines.nodes({0: "0,2,4,6", 1: "1,3,5,7"}))
    assert cpus(tmp_path) == [
        (0, 0, 0, 0),
        (1, 2, 1, 1),
        (2, 1, 0, 0),
        (3, 3, 1, 1),
        (4, 0, 0, 0),
        (5, 2, 1, 1),
        (6, 1, 0, 0),
        (7, 3, 1, 1),
    ]


places = st.dictionaries(st.integers(0, 40), st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=24)


@settings(max_examples=30)
@given(places)
def test_cpus_share_a_core_exactly_where_they_share_a_place(
    tmp_path_factory: pytest.TempPathFactory, places: dict[int, tuple[int, int]]
) -> None:
    root = machines.write(tmp_path_factory.mktemp("machine"), machines.topology(places))
    core = {cpu: number for cpu, number, *_ in cpus(root)}
    assert set(core) == set(places)
    assert sorted(set(core.values())) == list(range(len(set(places.values()))))
    assert all((core[a] == core[b]) == (places[a] == places[b]) for a in places for b in places)


def test_several_nodes_in_one_socket(tmp_path: Path) -> None:
    machines.write(
        tmp_path, machines.topology({cpu: (0, cpu) for cpu in range(4)}) | machines.nodes({0: "0-1", 1: "2-3", 2: ""})
    )
    assert [node for *_, node in cpus(tmp_path)] == [0, 0, 1, 1]


def test_where_nothing_tells_cores_apart_each_cpu_is_one(tmp_path: Path) -> None:
    files = {"/sys/devices/system/cpu/online": "0-3"}
    for cpu in range(4):
        files[f"/sys/devices/system/cpu/cpu{cpu}/topology/core_id"] = "-1"
        files[f"/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"] = "-1"
    machines.write(tmp_path, files)
    assert cpus(tmp_path) == [(0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 0, 0), (3, 3, 0, 0)]


def test_without_a_list_of_cpus_the_affinity_says_which_there_are(tmp_path: Path) -> None:
    assert [cpu for cpu, *_ in cpus(tmp_path, (4, 6))] == [4, 6]
    assert [cpu for cpu, *_ in cpus(tmp_path)] == [0]


def test_affinity_is_the_kernels_or_the_recorded(tmp_path: Path) -> None:
    assert topology.affinity(tmp_path, live=False) == ()
    machines.write(tmp_path, {"/proc/self/status": "Cpus_allowed:\tff\nCpus_allowed_list:\t1-2,6\n"})
    assert topology.affinity(tmp_path, live=False) == (1, 2, 6)
    assert topology.affinity(tmp_path, live=True) == tuple(sorted(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("affinity", "cpuset", "left"),
    [
        ((), None, (0, 1, 2, 3)),
        ((1, 2, 9), None, (1, 2)),
        ((), frozenset({3}), (3,)),
        ((2, 1), frozenset({2, 3}), (2,)),
        ((8, 9), frozenset({2, 3}), (2, 3)),
        ((0, 1), frozenset({2, 3}), (0, 1)),
        ((0, 1), frozenset(), (0, 1)),
    ],
)
def test_a_bound_that_would_leave_no_cpu_is_not_believed(
    affinity: tuple[int, ...], cpuset: frozenset[int] | None, left: tuple[int, ...]
) -> None:
    assert topology.allowed(FOUR, affinity, cpuset) == left
