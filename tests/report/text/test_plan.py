from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.core.config import Config
from autotune.core.errors import SpaceError
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.core.struct import Value
from autotune.launch import launch_plan as launch
from autotune.models import artifact_cache
from autotune.report.text import doctor, plan, planned_config, recorded_machines, settings
from autotune.report.text import formatting as words
from tests import machines, recorded
from tests.report.text.planned import COMMAND, SPACE, configured, printed, resolved, written

CACHE = Path("/var/cache/autotune")
ENVIRON = {"PATH": "/usr/bin:/my programs", "HOME": "/home/me", "LD_PRELOAD": "/other.so", "SECRET": "hunter2"}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LARGE_LAYOUTS = {1: 112, 2: 56, 4: 28, 7: 16, 8: 14, 14: 8, 16: 7, 28: 4, 32: 2, 56: 2, 64: 1, 112: 1}
"""On 112 cores of two nodes: for each number of workers the most threads that are offered beside it."""


def started(hw: Hardware, config: Config, space: Space, *, here: bool = False) -> list[str]:
    """The lines on how a configuration is started: a line on each worker's place, then its command."""
    lines = [text.plain for text in plan.lines(space, hw, config, ENVIRON if here else None, CACHE)]
    begin = lines.index(f"\n{words.configuration(config)} is started so:") + 1
    return lines[begin : lines.index(plan.NOTES[0])]


def alone(threads: int) -> str:
    """The command of a worker of the plain model on another machine."""
    counts = " ".join(f"{name}={threads}" for name in THREADS)
    return f'env -i PATH="$PATH" HOME="$HOME" {counts} python -m autotune.worker'


ALLOCATORS = ("system", "tcmalloc", "jemalloc", "mimalloc")
NEVER = "transparent huge pages are set to never; echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"


@pytest.mark.parametrize(
    ("name", "layouts", "allocators", "huge_pages"),
    [
        ("c7i.xlarge", ("1x1", "1x2", "2x1"), (*ALLOCATORS, "tbbmalloc"), (False, True)),
        ("c8g.xlarge", ("1x1", "1x2", "1x3", "1x4", "2x1", "2x2", "3x1", "4x1"), ALLOCATORS, (False, True)),
        ("container-1.5cpu", ("1x1", "1x2", "2x1"), (*ALLOCATORS, "tbbmalloc"), (False,)),
    ],
)
def test_what_each_machine_would_search(
    name: str, layouts: tuple[str, ...], allocators: tuple[str, ...], huge_pages: tuple[bool, ...], tmp_path: Path
) -> None:
    hw = recorded_machines.find(name)
    found = settings.of_domains(resolved(tmp_path, hw).domains)
    assert found["batch_size"] == (1, 8)
    assert found["layout"] == layouts
    assert found["allocator"] == allocators
    assert found["huge_pages"] == huge_pages
    assert found["backend"] == ("torch_eager", "onnxruntime")
    assert found["torch_eager.memory_format"] == ("contiguous", "channels_last")
    assert found["torch_eager.precision"] == ("float32", "bfloat16")


def test_two_sockets_are_searched_in_sensible_layouts(tmp_path: Path) -> None:
    hw = recorded_machines.find("two-socket-112c")
    assert len(hw.cores) == 112 and len(hw.allowed_cpus) == 224
    most: dict[int, int] = {}
    for layout in settings.of_domains(resolved(tmp_path, hw).domains)["layout"]:
        workers, _, threads = str(layout).partition("x")
        most[int(workers)] = max(most.get(int(workers), 0), int(threads))
    assert most == LARGE_LAYOUTS


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        ("c7i.xlarge", {}),
        ("c8g.xlarge", {("allocator", "tbbmalloc"): "tbbmalloc was not found in any library path for aarch64; pip"}),
        ("container-1.5cpu", {("huge_pages", True): NEVER}),
        ("two-socket-112c", {("huge_pages", True): NEVER}),
    ],
)
def test_what_is_left_out_and_why(name: str, left_out: dict[tuple[str, Value], str], tmp_path: Path) -> None:
    hw = recorded_machines.find(name)
    space = resolved(tmp_path, hw)
    reasons = {(entry.setting, entry.value): entry.reason for entry in space.excluded}
    assert reasons.keys() == left_out.keys()
    _, _, below = printed(space, hw, space.baseline).partition("\nleft out here:\n")
    assert bool(below) is bool(left_out)
    for (setting, value), reason in left_out.items():
        assert f"{setting} {words.literal(value)}".ljust(34) + reason in below


def test_a_machine_without_bfloat16_says_so(tmp_path: Path) -> None:
    hw = recorded.record(machines.amd, tmp_path)
    space = resolved(tmp_path, hw)
    text = printed(space, hw, space.baseline)
    assert re.search(r"^torch_eager\.precision bfloat16 +bfloat16 needs AMX, AVX512_BF16 or Arm bf16; ", text, re.M)
    assert "torch_eager.precision float32" in text


def test_a_quota_of_one_and_a_half_gives_two_cores(tmp_path: Path) -> None:
    hw = recorded_machines.find("container-1.5cpu")
    space = resolved(tmp_path, hw)
    assert "usable     2 cores of CPUs 2-5, 114-117, quota 1.5 CPUs" in printed(space, hw, space.baseline).splitlines()
    assert started(hw, space.baseline, space) == ["worker 1: 2 threads on CPUs 2-3 of NUMA node 0", alone(2)]


# --------------------------------------------------------------------------------------- how it is started


def test_two_nodes_have_a_worker_each(tmp_path: Path) -> None:
    hw = recorded_machines.find("two-socket-112c")
    space = resolved(tmp_path, hw)
    assert started(hw, configured(hw, layout="2x56"), space) == [
        "worker 1: 56 threads on CPUs 0-55 of NUMA node 0",
        alone(56),
        "worker 2: 56 threads on CPUs 56-111 of NUMA node 1",
        alone(56),
    ]
    assert [line for line in started(hw, configured(hw, layout="3x28"), space) if line.startswith("worker")] == [
        "worker 1: 28 threads on CPUs 0-27 of NUMA node 0",
        "worker 2: 28 threads on CPUs 28-55 of NUMA node 0",
        "worker 3: 28 threads on CPUs 56-83 of NUMA node 1",
    ]
    assert started(hw, space.baseline, space)[0] == "worker 1: 112 threads on CPUs 0-111 of several NUMA nodes"


def test_memory_is_bound_where_numactl_may(tmp_path: Path) -> None:
    hw = recorded_machines.find("two-socket-112c")
    space = resolved(tmp_path, hw)
    commands = started(hw, configured(hw, layout="2x56", numa="bind"), space)[1::2]
    assert [command.partition("OPENBLAS_NUM_THREADS=56 ")[2] for command in commands] == [
        "/usr/bin/numactl --membind=0 python -m autotune.worker",
        "/usr/bin/numactl --membind=1 python -m autotune.worker",
    ]
    hw = recorded_machines.find("container-1.5cpu")
    config = configured(hw, layout="1x2", numa="bind")
    with pytest.raises(SpaceError, match=r"spec\.json cannot be used on .*; numa: numactl is missing or may not bind"):
        planned_config.chosen(space, hw, file=written(tmp_path / "spec.json", config, space))


def test_a_worker_has_one_thread_of_each_core(tmp_path: Path) -> None:
    hw = recorded_machines.find("c7i.xlarge")
    space = resolved(tmp_path, hw)
    assert started(hw, configured(hw, layout="2x1"), space)[::2] == [
        "worker 1: 1 thread on CPUs 0 of NUMA node 0",
        "worker 2: 1 thread on CPUs 1 of NUMA node 0",
    ]


def test_preload_and_environment_of_another_machine(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    config = configured(hw, "torch_compile", layout="1x4", allocator="tcmalloc", huge_pages=True)
    line = started(hw, config, resolved(tmp_path, hw))[1]
    assert line.startswith('env -i PATH="$PATH" HOME="$HOME" ') and line.endswith(" python -m autotune.worker")
    words = shlex.split(line)
    assert {
        "LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libtcmalloc_minimal.so.4",
        "GLIBC_TUNABLES=glibc.malloc.hugetlb=1",
        "THP_MEM_ALLOC_ENABLE=1",
        "OMP_NUM_THREADS=4",
        "TORCHINDUCTOR_CACHE_DIR=/var/cache/autotune/inductor",
    } < set(words)
    for own in (sys.executable, launch.IMPORT_ROOT, "hunter2", "/home/me"):
        assert own not in line


def test_here_the_line_is_exactly_what_would_be_launched(tmp_path: Path) -> None:
    hw = recorded_machines.find("c7i.xlarge")
    config = configured(hw, "torch_compile", layout="2x1", allocator="jemalloc")
    workers = launch.measuring(config, hw, ENVIRON, CACHE).workers
    assert len(workers) == 2
    for worker, line in zip(workers, started(hw, config, resolved(tmp_path, hw), here=True)[1::2], strict=True):
        variables = [f"{name}={value}" for name, value in worker.env.items()]
        assert shlex.split(line) == ["env", "-i", *variables, *worker.argv]
        assert "PATH='/usr/bin:/my programs'" in line and "hunter2" not in line


def test_a_program_is_shown_with_its_values(tmp_path: Path) -> None:
    hw = recorded_machines.find("c8g.xlarge")
    space = resolved(tmp_path, hw, COMMAND)
    assert started(hw, space.baseline, space)[-1] == "each worker runs: ./bench --mode 'a b' --threads 4"


def test_everything_in_its_order_and_no_line_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(CACHE))
    assert artifact_cache.default_folder() == CACHE
    hw = recorded_machines.find("two-socket-112c")
    space = resolved(tmp_path, hw)
    text = printed(space, hw, space.baseline)
    assert "\x1b" not in text
    parts = text.split("\n\n")
    assert parts[0].splitlines() == doctor.machine(hw)
    first, objective, limits, *rows, fixed = parts[1].splitlines()
    assert re.split("  +", objective) == ["objective", "throughput"]
    assert re.split("  +", limits) == ["limits", "the usual ones on answers"]
    assert re.fullmatch(r"torchvision:resnet50: up to \d+ configurations are searched", first)
    searched = {name: values for name, values in settings.of_domains(space.domains).items() if len(values) > 1}
    assert {"batch_size", "layout", "allocator", "torch_eager.precision"} < searched.keys()
    assert rows == [f"{name:33} {', '.join(map(words.literal, values))}" for name, values in searched.items()]
    assert fixed.startswith("fixed ") and "huge_pages false" in fixed and "batch_size" not in fixed
    assert f"left out here:\nhuge_pages true                   {NEVER}" == parts[2]
    assert parts[3].startswith(
        "tried first (--pick N says how number N is started):\n  1  torch_eager contiguous float32"
    )
    assert parts[4].splitlines()[1:] == started(hw, space.baseline, space)
    assert len(parts) == 6 and "taskset -c CPUS PROGRAM" in parts[5]


def test_planning_for_another_machine_looks_at_no_file_of_this_one_and_imports_no_framework(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    script = f"""
import sys
from rich.console import Console
from autotune.space.find import find
from autotune.space.load import load
from autotune.report.text import plan, planned_config, recorded_machines
seen = []
sys.addaudithook(lambda event, found: seen.append((event, str(found[0]))) if found else None)
hw = recorded_machines.find("c8g.xlarge")
space = load(find({str(tmp_path / "space.yaml")!r}), hw)
plan.print_to(Console(), space, hw, planned_config.chosen(space, hw, 2))
print([found for found in seen if found[1].startswith(("/proc", "/sys"))])
print([event for event, _ in seen if event in ("subprocess.Popen", "os.system", "os.exec", "socket.connect")])
frameworks = {{"torch", "torchvision", "onnx", "onnxruntime", "openvino", "nncf", "timm", "transformers", "optuna"}}
print(sorted(frameworks & set(sys.modules)))
"""
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Neoverse-V2" in done.stdout
    assert done.stdout.splitlines()[-3:] == ["[]", "[]", "[]"]
