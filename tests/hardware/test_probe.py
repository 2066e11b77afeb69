import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.core.machine import Hardware
from autotune.hardware.probe import huge_page_mode, probe
from tests import machines


def test_c7i(tmp_path: Path) -> None:
    hw = probe(machines.c7i_xlarge(tmp_path))
    assert hw.architecture == "x86_64"
    assert hw.cpu_model == "Intel(R) Xeon(R) Platinum 8488C"
    assert hw.isa == (
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx_vnni",
        "avx512_bf16",
        "amx_tile",
        "amx_bf16",
        "amx_int8",
    )
    assert [(cpu.id, cpu.core) for cpu in hw.cpus] == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert [cpu.id for cpu in hw.cores] == [0, 1]
    assert hw.allowed_cpus == (0, 1, 2, 3)
    assert hw.caches == {"L1d": 48 * 1024, "L1i": 32 * 1024, "L2": 2 * 2**20, "L3": 105 * 2**20}
    assert hw.memory_bytes == 7917684 * 1024
    assert hw.cpu_quota is None
    assert hw.memory_limit_bytes is None
    assert hw.huge_page_mode == "madvise"
    assert hw.kernel == "6.8.0-1021-aws"
    assert hw.instance_type == "c7i.xlarge"


def test_c8g_has_a_model_name_made_from_numbers(tmp_path: Path) -> None:
    hw = probe(machines.c8g_xlarge(tmp_path), glibc="2.39")
    assert hw.architecture == "aarch64"
    assert hw.cpu_model == "Neoverse-V2"
    assert hw.isa == ("asimd", "asimddp", "sve", "sve2", "bf16", "i8mm")
    assert len(hw.cores) == 4
    assert hw.huge_page_mode == "always"
    assert hw.instance_type == "c8g.xlarge"
    assert hw.glibc == "2.39"


def test_unknown_arm_part_is_named_by_its_numbers(tmp_path: Path) -> None:
    hw = probe(machines.write(tmp_path, {"/proc/cpuinfo": machines.arm_cpuinfo(2, "0x99", "0x123")}))
    assert hw.cpu_model == "Arm 0x99/0x123"
    assert hw.instance_type == "arm-0x99-0x123-2c"
    assert len(hw.cores) == 2


def test_two_sockets_have_cores_unique_over_the_machine(tmp_path: Path) -> None:
    hw = probe(machines.two_sockets(tmp_path))
    assert len(hw.cpus) == 224
    assert sorted({cpu.core for cpu in hw.cpus}) == list(range(112))
    siblings = {cpu.core: sorted(other.id for other in hw.cpus if other.core == cpu.core) for cpu in hw.cpus}
    assert siblings[0] == [0, 112]
    assert siblings[56] == [56, 168]
    assert {(cpu.socket, cpu.node) for cpu in hw.cpus} == {(0, 0), (1, 1)}
    assert [cpu.id for cpu in hw.cores] == list(range(112))
    # Dell's product name is no instance type.
    assert hw.instance_type == "intel-xeon-platinum-8480-112c"


def test_container_takes_the_tightest_limit_on_the_way_up(tmp_path: Path) -> None:
    hw = probe(machines.container(tmp_path))
    assert hw.cpu_quota == 1.5
    assert hw.memory_limit_bytes == 4 * 2**30
    assert hw.usable_memory_bytes == 4 * 2**30
    assert hw.allowed_cpus == (2, 3, 4, 5, 114, 115, 116, 117)
    assert [cpu.id for cpu in hw.cores] == [2, 3]


def test_container_v1_is_found_through_its_mount(tmp_path: Path) -> None:
    hw = probe(machines.container_v1(tmp_path))
    assert hw.cpu_quota == 0.5
    assert hw.memory_limit_bytes is None
    assert hw.allowed_cpus == (0, 2)
    assert [cpu.id for cpu in hw.cores] == [0]


def test_v1_memory_limit_and_no_quota(tmp_path: Path) -> None:
    machines.container_v1(tmp_path)
    machines.write(
        tmp_path,
        {
            "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**31),
        },
    )
    hw = probe(tmp_path)
    assert hw.cpu_quota is None
    assert hw.memory_limit_bytes == 2**31


@pytest.mark.parametrize(("ours", "mounted"), [("/../other", "/"), ("/docker/abc", "/elsewhere"), ("/gone", "/")])
def test_a_group_outside_the_mount_leaves_the_mount_point(tmp_path: Path, ours: str, mounted: str) -> None:
    machines.c7i_xlarge(tmp_path)
    machines.write(
        tmp_path,
        {
            "/proc/self/cgroup": f"0::{ours}",
            "/proc/self/mountinfo": machines.CGROUP2_MOUNT.format(mounted=mounted),
            "/sys/fs/cgroup/cpu.max": "200000 100000",
            "/sys/fs/other/cpu.max": "100000 100000",
        },
    )
    assert probe(tmp_path).cpu_quota == 2.0


def test_topology_from_cpuinfo_alone(tmp_path: Path) -> None:
    hw = probe(machines.amd(tmp_path))
    assert [(cpu.id, cpu.core, cpu.socket) for cpu in hw.cpus] == [
        (0, 0, 0),
        (1, 0, 0),
        (2, 1, 0),
        (3, 1, 0),
        (4, 2, 1),
        (5, 2, 1),
        (6, 3, 1),
        (7, 3, 1),
    ]
    assert [cpu.id for cpu in hw.cores] == [0, 2, 4, 6]
    assert hw.instance_type == "amd-epyc-7763-4c"
    assert hw.huge_page_mode is None


def test_core_ids_that_repeat_in_a_socket_are_told_apart_by_siblings(tmp_path: Path) -> None:
    machines.c7i_xlarge(tmp_path)
    for cpu in range(4):
        folder = f"/sys/devices/system/cpu/cpu{cpu}/topology"
        machines.write(tmp_path, {f"{folder}/core_id": "0", f"{folder}/thread_siblings_list": str(cpu)})
    assert [cpu.core for cpu in probe(tmp_path).cpus] == [0, 1, 2, 3]


def test_offline_cpus_do_not_exist(tmp_path: Path) -> None:
    machines.c7i_xlarge(tmp_path)
    machines.write(tmp_path, {"/sys/devices/system/cpu/online": "0-2"})
    hw = probe(tmp_path)
    assert [cpu.id for cpu in hw.cpus] == [0, 1, 2]
    assert hw.allowed_cpus == (0, 1, 2)


def test_affinity_is_cut_with_the_cpuset(tmp_path: Path) -> None:
    machines.container(tmp_path)
    machines.write(tmp_path, {"/proc/self/status": "Cpus_allowed_list:\t0-3"})
    assert probe(tmp_path).allowed_cpus == (2, 3)


def test_an_empty_tree_is_a_machine_of_one_core(tmp_path: Path) -> None:
    hw = probe(tmp_path)
    assert len(hw.cores) == 1
    assert hw.cpu_quota is None
    assert hw.glibc is None
    assert hw.compiler is None
    assert hw.libraries == {}
    assert hw.packages == {}
    assert hw.instance_type


@pytest.mark.parametrize(
    "name",
    [
        "/proc/cpuinfo",
        "/proc/meminfo",
        "/proc/self/cgroup",
        "/proc/self/mountinfo",
        "/proc/self/status",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/cpu/cpu1/topology/core_id",
        "/sys/devices/system/cpu/cpu1/topology/thread_siblings_list",
        "/sys/devices/system/node/node0/cpulist",
        "/sys/fs/cgroup/user.slice/cpu.max",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/etc/ld.so.conf",
    ],
)
@pytest.mark.parametrize("content", ["", ":", "0-", "a-b,3", "0 0", "-1", "[", "\n\n: :\n", "1:2\n3::", b"\xff\xfe"])
def test_nonsense_never_raises(tmp_path: Path, name: str, content: str | bytes) -> None:
    hw = probe(machines.write(machines.c7i_xlarge(tmp_path), {name: content}))
    assert hw.cores


def test_instance_type_is_the_argument_then_the_environment_then_firmware(tmp_path: Path) -> None:
    machines.c7i_xlarge(tmp_path)
    environ = {"AUTOTUNE_INSTANCE_TYPE": "lab"}
    assert probe(tmp_path, environ=environ, instance_type="mine").instance_type == "mine"
    assert probe(tmp_path, environ=environ).instance_type == "lab"
    assert probe(tmp_path).instance_type == "c7i.xlarge"


@pytest.mark.parametrize(
    ("vendor", "product"),
    [
        ("Google", "Google Compute Engine"),
        ("Microsoft Corporation", "Virtual Machine"),
        ("Xen", "HVM domU"),
        ("Maker", "x1.yoga"),
    ],
)
def test_generic_product_names_are_no_instance_type(tmp_path: Path, vendor: str, product: str) -> None:
    machines.c7i_xlarge(tmp_path)
    machines.write(tmp_path, {"/sys/class/dmi/id/sys_vendor": vendor, "/sys/class/dmi/id/product_name": product})
    assert probe(tmp_path).instance_type == "intel-xeon-platinum-8488c-2c"


def test_same_type_has_the_same_fingerprint(tmp_path: Path) -> None:
    one, two = (probe(machines.c7i_xlarge(tmp_path / name)) for name in "ab")
    assert one == two
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint != probe(machines.c8g_xlarge(tmp_path / "c")).fingerprint


def test_packages_are_read_without_importing(tmp_path: Path) -> None:
    site = "/opt/env/lib/python3.11/site-packages"
    machines.write(
        tmp_path,
        {
            f"{site}/torch-2.8.0+cpu.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.8.0+cpu",
            f"{site}/onnx-1.19.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: onnx\nVersion: 1.19.0",
            f"{site}/numpy-2.4.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: numpy\nVersion: 2.4.0",
            f"{site}/timm-1.0.0.dist-info/RECORD": "what an interrupted uninstallation left",
        },
    )
    assert probe(tmp_path, path=[site]).packages == {"torch": "2.8.0+cpu", "onnx": "1.19.0"}


def _program(root: Path, name: str) -> None:
    machines.write(root, {name: "#!/bin/sh"})
    (root / name.lstrip("/")).chmod(0o755)


def test_compiler(tmp_path: Path) -> None:
    path = {"PATH": "/usr/local/bin:/usr/bin"}
    _program(tmp_path, "/usr/bin/clang++")
    assert probe(tmp_path, environ=path).compiler == "/usr/bin/clang++"
    _program(tmp_path, "/usr/bin/g++")
    assert probe(tmp_path, environ=path).compiler == "/usr/bin/g++"
    _program(tmp_path, "/opt/gcc/bin/g++-14")
    assert probe(tmp_path, environ=path | {"CXX": "/opt/gcc/bin/g++-14 -v"}).compiler == "/opt/gcc/bin/g++-14"
    assert probe(tmp_path, environ=path | {"CXX": "clang++"}).compiler == "/usr/bin/clang++"
    assert probe(tmp_path, environ=path | {"CXX": "icpx"}).compiler is None
    assert probe(tmp_path, environ=path | {"CXX": 'g++ "'}).compiler is None
    assert probe(tmp_path, environ=path | {"CXX": "./g++"}).compiler is None


def test_relative_compiler_is_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path, "/bin/cc")
    monkeypatch.chdir(tmp_path)
    assert probe(environ={"CXX": "bin/cc"}).compiler == str(tmp_path / "bin/cc")


def test_our_environment_says_nothing_of_a_recorded_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_INSTANCE_TYPE", "lab")
    assert probe(machines.c7i_xlarge(tmp_path)).instance_type == "c7i.xlarge"
    assert probe().instance_type == "lab"


def test_huge_page_mode(tmp_path: Path) -> None:
    assert huge_page_mode(machines.two_sockets(tmp_path)) == "never"


def test_hardware_survives_json(tmp_path: Path) -> None:
    hw = probe(machines.container(tmp_path))
    assert msgspec.json.decode(msgspec.json.encode(hw), type=Hardware) == hw


def test_this_machine() -> None:
    hw = probe()
    assert hw.architecture == platform.machine()
    assert set(hw.allowed_cpus) <= os.sched_getaffinity(0)
    assert 1 <= len(hw.cores) <= len(hw.allowed_cpus)
    assert hw.memory_bytes > 2**28
    assert hw.kernel == platform.release()
    assert all(Path(file).is_file() for file in hw.libraries.values())
    assert hw.instance_type


@pytest.mark.parametrize("policy", ["--interleave=0", "--preferred=0", "--localalloc", "--membind=0"])
def test_looking_leaves_the_memory_policy_as_it_is(policy: str) -> None:
    numactl = shutil.which("numactl")
    if probe().numactl is None or numactl is None:
        pytest.skip("needs numactl, and leave to bind memory")
    script = (
        "from pathlib import Path; from autotune.hardware.probe import _may_bind_memory as may\n"
        "maps = lambda: Path('/proc/self/numa_maps').read_text().split()[1]\n"
        "print(maps(), may(), maps())"
    )
    argv = [numactl, policy, sys.executable, "-c", script]
    before, may, after = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert (before != "default", may, after) == (True, "True", before)
