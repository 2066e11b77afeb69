from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from autotune.hardware.cgroups import Limits, Throttling, groups, limits, oom_kills, throttling
from tests import machines

V1 = "40 30 0:{number} {mounted} /sys/fs/cgroup/{folder} rw,relatime shared:9 - cgroup cgroup rw,{controllers}"
V2 = machines.CGROUP2_MOUNT


def found(root: Path, ours: str, mounts: str, files: Mapping[str, str]) -> Limits:
    """The limits where /proc/self tells of these groups and mounts, and /sys/fs/cgroup holds these files."""
    under = {f"/sys/fs/cgroup/{name}": content for name, content in files.items()}
    return limits(machines.write(root, {"/proc/self/cgroup": ours, "/proc/self/mountinfo": mounts, **under}))


def v1(folder: str, controllers: str, mounted: str = "/") -> str:
    return V1.format(number=len(folder), mounted=mounted, folder=folder, controllers=controllers)


# ------------------------------------------------------------------------------------------------- killed for memory


@pytest.mark.parametrize(
    ("ours", "mount", "files", "count"),
    [
        ("0::/pod\n", V2.format(mounted="/"), {"pod/memory.events": "low 0\noom 4\noom_kill 3\noom_group_kill 1\n"}, 3),
        ("4:memory:/pod\n", v1("memory", "memory"), {"memory/pod/memory.oom_control": "under_oom 0\noom_kill 2\n"}, 2),
        ("0::/pod\n", V2.format(mounted="/"), {"../../../proc/vmstat": "oom_kill 7\npgfault 1\n"}, 7),
        ("0::/pod\n", V2.format(mounted="/"), {"pod/memory.events": "low 0\n"}, None),
    ],
)
def test_the_kernels_count_of_kills_for_memory(
    tmp_path: Path, ours: str, mount: str, files: dict[str, str], count: int | None
) -> None:
    under = {os.path.normpath(f"/sys/fs/cgroup/{name}"): content for name, content in files.items()}
    root = machines.write(tmp_path, {"/proc/self/cgroup": ours, "/proc/self/mountinfo": mount, **under})
    assert oom_kills(root) == count


# --------------------------------------------------------------------------------------------------------- throttled


@pytest.mark.parametrize(
    ("ours", "mount", "files", "counted"),
    [
        (
            "0::/a/b\n",
            V2.format(mounted="/"),
            {
                "a/b/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 3\nthrottled_usec 250000\n",
                "a/cpu.stat": "usage_usec 5\nnr_periods 0\nnr_throttled 1\nthrottled_usec 500000\n",
                "cpu.stat": "usage_usec 5\n",
            },
            Throttling(periods=4, seconds=0.75),
        ),
        (
            "3:cpu,cpuacct:/job\n",
            v1("cpu,cpuacct", "cpu,cpuacct"),
            {"cpu,cpuacct/job/cpu.stat": "nr_periods 9\nnr_throttled 2\nthrottled_time 1500000000\n"},
            Throttling(periods=2, seconds=1.5),
        ),
        ("0::/a\n", V2.format(mounted="/"), {"a/cpu.stat": "usage_usec 5\n"}, None),
        ("0::/a\n", V2.format(mounted="/"), {"a/cpu.stat": "nr_throttled ?\n"}, None),
        ("0::/a\n", V2.format(mounted="/"), {}, None),
    ],
)
def test_what_a_quota_withheld(
    tmp_path: Path, ours: str, mount: str, files: dict[str, str], counted: Throttling | None
) -> None:
    under = {f"/sys/fs/cgroup/{name}": content for name, content in files.items()}
    root = machines.write(tmp_path, {"/proc/self/cgroup": ours, "/proc/self/mountinfo": mount, **under})
    assert throttling(root) == counted


# ------------------------------------------------------------------------------------------------------- version 2


def test_nothing_known_is_nothing_limited(tmp_path: Path) -> None:
    assert limits(tmp_path) == Limits(cpu_quota=None, cpus=None, memory_bytes=None)
    assert list(groups(tmp_path)) == []


def test_max_is_no_limit(tmp_path: Path) -> None:
    files = {"app/cpu.max": "max 100000", "app/memory.max": "max", "app/cpuset.cpus.effective": ""}
    assert found(tmp_path, "0::/app", V2.format(mounted="/"), files) == Limits()


@pytest.mark.parametrize("tightest", ["a", "a/b", "a/b/c"])
def test_the_tightest_limit_holds_wherever_it_is_set(tmp_path: Path, tightest: str) -> None:
    files = {f"{group}/{name}": text for group in ("a", "a/b", "a/b/c") for name, text in LOOSE.items()}
    files |= {f"{tightest}/{name}": text for name, text in TIGHT.items()}
    limit = found(tmp_path, "0::/a/b/c", V2.format(mounted="/"), files)
    assert limit == Limits(cpu_quota=0.5, cpus=frozenset({1, 2}), memory_bytes=2**28)


LOOSE = {"cpu.max": "800000 100000", "memory.max": str(2**33), "cpuset.cpus.effective": "0-7"}
TIGHT = {"cpu.max": "25000 50000", "memory.max": str(2**28), "cpuset.cpus.effective": "1-2"}


def test_other_groups_do_not_limit_us(tmp_path: Path) -> None:
    files = {"a/other/cpu.max": "1000 100000", "a/b/below/memory.max": "1", "a/b/cpu.max": "200000 100000"}
    assert found(tmp_path, "0::/a/b", V2.format(mounted="/"), files) == Limits(cpu_quota=2.0)


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    files = {"cpu.max": "150000 100000", "inner/cpu.max": "400000 100000"}
    assert found(tmp_path, "0::/pod/inner", V2.format(mounted="/pod"), files).cpu_quota == 1.5
    assert list(groups(tmp_path)) == [tmp_path / "sys/fs/cgroup/inner", tmp_path / "sys/fs/cgroup"]


@pytest.mark.parametrize("text", ["", "100000", "0 100000", "50000 0", "-1 100000", "50000 100000 1", "a b"])
def test_what_is_no_quota_does_not_limit(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, "0::/a", V2.format(mounted="/"), {"a/cpu.max": text}).cpu_quota is None


# ------------------------------------------------------------------------------------------------------- version 1


def test_each_hierarchy_has_a_group_of_its_own(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/jobs/one/cpu.cfs_quota_us": "300000",
        "cpu,cpuacct/jobs/one/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/jobs/cpu.cfs_quota_us": "50000",
        "cpu,cpuacct/jobs/cpu.cfs_period_us": "20000",
        "memory/big/memory.limit_in_bytes": str(2**31),
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpuset/set/inner/cpuset.cpus": "0-3",
        "cpuset/set/cpuset.effective_cpus": "2-5",
        "cpuset/set/cpuset.cpus": "0-7",
    }
    ours = "9:cpuset:/set/inner\n4:memory:/big\n3:cpu,cpuacct:/jobs/one\n1:name=systemd:/user.slice"
    mounts = "\n".join([v1("cpu,cpuacct", "cpu,cpuacct"), v1("memory", "memory"), v1("cpuset", "cpuset")])
    limit = found(tmp_path, ours, mounts, files)
    assert limit == Limits(cpu_quota=2.5, cpus=frozenset({2, 3}), memory_bytes=2**31)


def test_minus_one_is_no_quota(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert found(tmp_path, "3:cpu:/", v1("cpu", "cpu"), files).cpu_quota is None


@pytest.mark.parametrize("page_size", [4096, 65536])
def test_the_largest_number_of_pages_is_no_memory_limit(tmp_path: Path, page_size: int) -> None:
    files = {"memory/memory.limit_in_bytes": str(2**63 - page_size)}
    assert found(tmp_path, "4:memory:/", v1("memory", "memory"), files).memory_bytes is None


# ----------------------------------------------------------------------------------------------------------- mixed


def test_both_versions_beside_each_other(tmp_path: Path) -> None:
    mounts = [v1("memory", "memory"), V2.format(mounted="/").replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")]
    files = {
        "memory/box/memory.limit_in_bytes": str(2**30),
        "unified/slice/cpu.max": "120000 100000",
        "unified/slice/memory.max": str(2**32),
        "unified/box/cpu.max": "1000 100000",
    }
    limit = found(tmp_path, "4:memory:/box\n0::/slice", "\n".join(mounts), files)
    assert limit == Limits(cpu_quota=1.2, memory_bytes=2**30)


def test_cpusets_that_exclude_each_other_leave_none(tmp_path: Path) -> None:
    files = {"cpuset.cpus.effective": "0-3", "part/cpuset.cpus.effective": "4-7"}
    assert found(tmp_path, "0::/part", V2.format(mounted="/"), files).cpus == frozenset()


def test_only_control_groups_are_looked_into(tmp_path: Path) -> None:
    mounts = "22 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n23 1 0:21 /\n- - -"
    assert found(tmp_path, "0::/", mounts, {"cpu.max": "100000 100000"}) == Limits()
