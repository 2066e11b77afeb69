from __future__ import annotations

import os
from pathlib import Path

import pytest

from autotune.hardware import allowance
from autotune.hardware.allowance import Allowance
from tests import machines

FOUR = Allowance(cpus=(0, 1, 2, 3))


def recorded(root: Path, affinity: str, cpuset: str = "", quota: str = "max 100000") -> Path:
    return machines.write(
        root,
        {
            "/proc/self/status": f"Cpus_allowed_list:\t{affinity}\n",
            "/proc/self/cgroup": "0::/pod\n",
            "/proc/self/mountinfo": machines.CGROUP2_MOUNT.format(mounted="/"),
            "/sys/fs/cgroup/pod/cpuset.cpus.effective": cpuset,
            "/sys/fs/cgroup/pod/cpu.max": quota,
        },
    )


@pytest.mark.parametrize(
    ("affinity", "cpuset", "quota", "found"),
    [
        ("0-3", "", "max 100000", FOUR),
        ("0-3", "2-9", "max 100000", Allowance(cpus=(2, 3))),
        ("0-3", "0-3", "150000 100000", Allowance(cpus=(0, 1, 2, 3), quota=1.5)),
        ("0-1", "4-5", "max 100000", Allowance(cpus=(0, 1))),  # a cpuset that would leave none is not believed
    ],
)
def test_affinity_cpuset_and_quota(tmp_path: Path, affinity: str, cpuset: str, quota: str, found: Allowance) -> None:
    assert allowance.now(recorded(tmp_path, affinity, cpuset, quota)) == found


def test_this_process() -> None:
    assert set(allowance.now().cpus) <= os.sched_getaffinity(0)


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (FOUR, None),
        (Allowance(cpus=(0,)), "the CPUs that this process may use changed: it lost CPUs 1, 2, 3"),
        (Allowance(cpus=(0, 1, 2, 4)), "the CPUs that this process may use changed: it lost CPU 3 and gained CPU 4"),
        (Allowance(cpus=(0, 1, 2, 3, 4)), "the CPUs that this process may use changed: it gained CPU 4"),
        (
            Allowance(cpus=(0, 1, 2, 3), quota=1.5),
            "the CPU quota of this process changed from none to 1.5 CPUs",
        ),
    ],
)
def test_what_changed_is_one_clause(after: Allowance, said: str | None) -> None:
    assert allowance.difference(FOUR, after) == said
