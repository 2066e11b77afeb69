from __future__ import annotations

import msgspec
import pytest

from autotune.core.errors import MachineError
from autotune.core.machine import Environment
from tests import machines


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (0.5, 1), (1.0, 1), (1.5, 2), (4.0, 4), (64.0, 4)])
def test_a_quota_leaves_as_many_cores_as_it_can_keep_busy(quota: float | None, cores: int) -> None:
    assert len(machines.hardware(2, 2, smt=2, quota=quota).cores) == cores


def test_a_cores_first_allowed_thread_stands_for_it() -> None:
    hw = msgspec.structs.replace(machines.hardware(2, 2, smt=2), allowed_cpus=(1, 3, 4, 5))
    assert [(cpu.id, cpu.core) for cpu in hw.cores] == [(4, 0), (1, 1), (3, 3)]


@pytest.mark.parametrize(("limit", "usable"), [(None, 2**34), (2**30, 2**30), (2**40, 2**34)])
def test_usable_memory_is_the_smaller(limit: int | None, usable: int) -> None:
    assert machines.hardware(2, memory_limit_bytes=limit).usable_memory_bytes == usable


SAME_TYPE = [
    {"kernel": "6.1"},
    {"packages": {"torch": "2.8"}},
    {"libraries": {"tcmalloc": "/usr/lib/libtcmalloc.so.4"}},
    {"huge_page_mode": "never"},
    {"memory_bytes": 2**34 - 2**26},
]
OTHER_TYPES = [
    {"cpu_model": "Other"},
    {"architecture": "aarch64"},
    {"isa": ("avx2",)},
    {"smt": 2},
    {"quota": 1.5},
    {"memory_bytes": 2**33},
    {"instance_type": "c7i.large"},
]


def test_a_fingerprint_is_of_the_type_and_not_of_what_is_installed() -> None:
    same, others = ([machines.hardware(2, **changes) for changes in kind] for kind in (SAME_TYPE, OTHER_TYPES))
    first = machines.hardware(2).fingerprint
    assert {hw.fingerprint for hw in same} == {first}
    assert len({first, *(hw.fingerprint for hw in others)}) == 1 + len(others)
    halved = (machines.hardware(2, **{name: 2**33}) for name in ("memory_bytes", "memory_limit_bytes"))
    assert len({hw.fingerprint for hw in halved}) == 1


@pytest.mark.parametrize(
    ("architecture", "isa", "saturates"),
    [
        ("x86_64", ("avx2",), True),
        ("x86_64", ("avx2", "avx512f"), True),
        ("x86_64", ("avx2", "avx_vnni"), False),
        ("x86_64", ("avx2", "avx512f", "avx512_vnni"), False),
        ("aarch64", ("asimd",), False),
    ],
)
def test_sums_of_bytes_saturate_on_x86_without_vnni(architecture: str, isa: tuple[str, ...], saturates: bool) -> None:
    assert machines.hardware(1, architecture=architecture, isa=isa).saturates is saturates


def test_a_removed_environment_is_named_with_those_that_are_there() -> None:
    there = Environment(prefix="/env/torch28", python="3.12", packages={"torch": "2.8.0"})
    hw = machines.hardware(1, environments={"torch28": there})
    assert hw.has("own") and hw.has("torch28") and not hw.has("torch27")
    assert hw.seen_by("own") == hw
    assert hw.seen_by("torch28").packages == {"torch": "2.8.0"}
    with pytest.raises(
        MachineError, match=r"no environment torch27 .*there are: torch28.*environments create"
    ) as caught:
        hw.seen_by("torch27")
    assert "\n" not in str(caught.value)
