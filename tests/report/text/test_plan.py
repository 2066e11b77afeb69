from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from autotune.core.config import Config, Placement
from autotune.core.errors import AutotuneError, MachineError, SpaceError, StudyError
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.launch import launch_plan as launch
from autotune.launch.launch_plan import WorkerPlan
from autotune.models import artifacts
from autotune.report.text import doctor, plan
from autotune.report.text import formatting as words
from autotune.space import configs
from autotune.space.load import load
from autotune.study.search import recipes
from autotune.study.storage import store
from tests import machines, recorded

NAMES = ("c7i.xlarge", "c8g.xlarge", "container-1.5cpu", "two-socket-112c")
CACHE = Path("/var/cache/autotune")
ENVIRON = {"PATH": "/usr/bin:/my programs", "HOME": "/home/me", "LD_PRELOAD": "/other.so", "SECRET": "hunter2"}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SPACE = """\
name: planned
workload: {model: 'torchvision:resnet50', inputs: [{shape: [batch, 3, 224, 224]}]}
search:
  batch_size: [1, 8]
  workers: auto
  threads: auto
  allocator: [system, tcmalloc, jemalloc, mimalloc, tbbmalloc]
  huge_pages: [false, true]
  backend:
    torch_eager: {memory_format: [contiguous, channels_last], precision: [float32, bfloat16]}
    onnxruntime: {}
"""
COMMAND = """\
name: program
workload: {model: 'command:./bench --mode {mode} --threads {threads}', folder: .}
search: {backend: {command: {mode: [a b, c]}}}
"""
LARGE_LAYOUTS = {1: 112, 2: 56, 4: 28, 7: 16, 8: 14, 14: 8, 16: 7, 28: 4, 32: 2, 56: 2, 64: 1, 112: 1}
"""On 112 cores of two nodes: for each number of workers the most threads that are offered beside it."""


def resolved(folder: Path, hw: Hardware, text: str = SPACE) -> Space:
    folder.joinpath("space.yaml").write_text(text)
    return load(folder / "space.yaml", hw)


def configured(hw: Hardware, backend: str = "torch_eager", batch_size: int = 1, **knobs: Value) -> Config:
    return configs.configure(hw, batch_size=batch_size, backend=backend, options={}, knobs=knobs)


def written(path: Path, config: Config, workload: Space) -> Path:
    """A trial's `spec.json`."""
    path.write_bytes(store.encode(TrialSpec(id=1, workload=workload.workload, config=config, folder="trials/00001")))
    return path


def started(hw: Hardware, config: Config, space: Space, *, here: bool = False) -> list[str]:
    """The lines on how a configuration is started: a line on each worker's place, then its command."""
    lines = [text.plain for text in plan.lines(space, hw, config, ENVIRON if here else None, CACHE)]
    begin = lines.index(f"\n{words.configuration(config)} is started so:") + 1
    return lines[begin : lines.index(plan.NOTES[0])]


def printed(space: Space, hw: Hardware, config: Config) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    plan.print_to(console, space, hw, config)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def alone(threads: int) -> str:
    """The command of a worker of the plain model on another machine."""
    counts = " ".join(f"{name}={threads}" for name in THREADS)
    return f'env -i PATH="$PATH" HOME="$HOME" {counts} python -m autotune.worker'


# -------------------------------------------------------------------------------------------- recorded machines


def test_these_machines_come_with_autotune() -> None:
    assert tuple(plan.recorded()) == NAMES == tuple(sorted(recorded.TREES))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_what_a_probe_finds(name: str, tmp_path: Path) -> None:
    found = recorded.record(recorded.TREES[name], tmp_path)
    assert plan.machine(name) == found, "write them anew: python -m tests.recorded"


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_survives_json(name: str, tmp_path: Path) -> None:
    hw = plan.machine(name)
    for text in (recorded.rendered(hw).encode(), store.encode(hw)):
        (tmp_path / "hardware.json").write_bytes(text)
        assert plan.machine(str(tmp_path / "hardware.json")) == hw
    assert plan.machine(f"{name}.json") == hw


def test_recorded_software() -> None:
    x86, arm, container = (plan.machine(name) for name in ("c7i.xlarge", "c8g.xlarge", "container-1.5cpu"))
    assert x86.glibc == arm.glibc == container.glibc == "2.39"
    assert {"torch", "torchvision", "onnxruntime", "onnx", "onnxscript", "openvino", "nncf"} <= x86.packages.keys()
    assert x86.packages == arm.packages
    assert f"torch=={x86.packages['torch']}\n" in recorded.CONSTRAINTS.read_text()
    assert x86.libraries == {
        "iomp5": "/opt/autotune/lib/libiomp5.so",
        "jemalloc": "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2",
        "mimalloc": "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2",
        "tbbmalloc": "/opt/autotune/lib/libtbbmalloc_proxy.so.2",
        "tbbmalloc_core": "/opt/autotune/lib/libtbbmalloc.so.2",
        "tcmalloc": "/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4",
    }
    assert set(arm.libraries) == {"jemalloc", "mimalloc", "tcmalloc"}
    assert x86.compiler == arm.compiler == container.compiler == "/usr/bin/g++"
    assert (x86.numactl, arm.numactl, container.numactl) == ("/usr/bin/numactl", "/usr/bin/numactl", None)


def test_a_file_goes_before_a_recorded_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c7i.xlarge").write_bytes(store.encode(plan.machine("c8g.xlarge")))
    assert plan.machine("c7i.xlarge").cpu_model == "Neoverse-V2"


def test_a_machine_that_there_is_not(tmp_path: Path) -> None:
    for name, hint in (
        ("c7i.xlrage", "; did you mean 'c7i.xlarge' or 'c8g.xlarge'?"),
        ("two-sockets.json", "; did you mean 'two-socket-112c'?"),
        (str(tmp_path), "; recorded: c7i.xlarge, c8g.xlarge, container-1.5cpu, two-socket-112c"),
        ("", "; recorded: c7i.xlarge, c8g.xlarge, container-1.5cpu, two-socket-112c"),
    ):
        with pytest.raises(MachineError) as caught:
            plan.machine(name)
        assert str(caught.value) == f"no hardware {name!r}, neither a file nor a recorded machine{hint}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "has format 2; this version of autotune reads up to 1; update autotune"),
        ({"cpus": "four"}, "is damaged: Expected `array`, got `str` - at `$.cpus`; give the hardware.json of a study"),
        ({"gpus": 1}, "is damaged: Object contains unknown field `gpus`; give the hardware.json of a study"),
        ({"cpus": [], "allowed_cpus": []}, "has no usable CPU: none of its allowed_cpus is among its cpus"),
        ({"allowed_cpus": [4]}, "has no usable CPU: none of its allowed_cpus is among its cpus"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path, change: dict[str, object], message: str) -> None:
    fields = msgspec.json.decode(store.encode(plan.machine("c7i.xlarge"))) | change
    path = tmp_path / "hardware.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(AutotuneError) as caught:
        plan.machine(str(path))
    assert str(caught.value).startswith(f"{path} {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"name: toy\n"])
def test_a_file_of_something_else_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hardware.json"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"is damaged: .*; give the hardware\.json of a study, or one of c7i"):
        plan.machine(str(path))


# -------------------------------------------------------------------------------------------- what is searched

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
    hw = plan.machine(name)
    found = plan.settings(resolved(tmp_path, hw).domains)
    assert found["batch_size"] == (1, 8)
    assert found["layout"] == layouts
    assert found["allocator"] == allocators
    assert found["huge_pages"] == huge_pages
    assert found["backend"] == ("torch_eager", "onnxruntime")
    assert found["torch_eager.memory_format"] == ("contiguous", "channels_last")
    assert found["torch_eager.precision"] == ("float32", "bfloat16")


def test_two_sockets_are_searched_in_sensible_layouts(tmp_path: Path) -> None:
    hw = plan.machine("two-socket-112c")
    assert len(hw.cores) == 112 and len(hw.allowed_cpus) == 224
    most: dict[int, int] = {}
    for layout in plan.settings(resolved(tmp_path, hw).domains)["layout"]:
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
    hw = plan.machine(name)
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
    hw = plan.machine("container-1.5cpu")
    space = resolved(tmp_path, hw)
    assert "usable     2 cores of CPUs 2-5, 114-117, quota 1.5 CPUs" in printed(space, hw, space.baseline).splitlines()
    assert started(hw, space.baseline, space) == ["worker 1: 2 threads on CPUs 2-3 of NUMA node 0", alone(2)]


# --------------------------------------------------------------------------------------- how it is started


def test_two_nodes_have_a_worker_each(tmp_path: Path) -> None:
    hw = plan.machine("two-socket-112c")
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
    hw = plan.machine("two-socket-112c")
    space = resolved(tmp_path, hw)
    commands = started(hw, configured(hw, layout="2x56", numa="bind"), space)[1::2]
    assert [command.partition("OPENBLAS_NUM_THREADS=56 ")[2] for command in commands] == [
        "/usr/bin/numactl --membind=0 python -m autotune.worker",
        "/usr/bin/numactl --membind=1 python -m autotune.worker",
    ]
    hw = plan.machine("container-1.5cpu")
    config = configured(hw, layout="1x2", numa="bind")
    with pytest.raises(SpaceError, match=r"spec\.json cannot be used on .*; numa: numactl is missing or may not bind"):
        plan.chosen(space, hw, file=written(tmp_path / "spec.json", config, space))


def test_a_worker_has_one_thread_of_each_core(tmp_path: Path) -> None:
    hw = plan.machine("c7i.xlarge")
    space = resolved(tmp_path, hw)
    assert started(hw, configured(hw, layout="2x1"), space)[::2] == [
        "worker 1: 1 thread on CPUs 0 of NUMA node 0",
        "worker 2: 1 thread on CPUs 1 of NUMA node 0",
    ]


def test_preload_and_environment_of_another_machine(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
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
    hw = plan.machine("c7i.xlarge")
    config = configured(hw, "torch_compile", layout="2x1", allocator="jemalloc")
    workers = launch.measuring(config, hw, ENVIRON, CACHE).workers
    assert len(workers) == 2
    for worker, line in zip(workers, started(hw, config, resolved(tmp_path, hw), here=True)[1::2], strict=True):
        variables = [f"{name}={value}" for name, value in worker.env.items()]
        assert shlex.split(line) == ["env", "-i", *variables, *worker.argv]
        assert "PATH='/usr/bin:/my programs'" in line and "hunter2" not in line


HOSTILE = [
    "a b",
    "it's",
    '"$HOME" `id` $(id) \\',
    "*;|&<>#!~{}[]",
    "two\nlines",
    "tab\tand\x1b[31mred\x7f",
    "ümlaut \N{SNOWMAN}",
    "bytes \udcff\udc80",
    "",
    "A=b=c",
    "-n",
]


@pytest.mark.parametrize("folder", ["plain", "it's $HOME\n\t*", "a=b"])
def test_a_line_starts_exactly_that_process(tmp_path: Path, folder: str) -> None:
    bash, env = shutil.which("bash"), shutil.which("env")
    assert bash is not None and env is not None
    program = tmp_path / folder / "env"  # prints its environment, to which its own arguments add
    program.parent.mkdir()
    program.symlink_to(env)
    variables = {"PATH": os.environ["PATH"], **{f"V{number}": word for number, word in enumerate(HOSTILE)}}
    argv = (str(program), "-0", *(f"W{number}={word}" for number, word in enumerate(HOSTILE)))
    line = plan.shell(WorkerPlan(argv=argv, env=variables, placement=Placement(cpus=(0,), threads=1)))
    assert all(letter.isprintable() for letter in line)
    done = subprocess.run([bash, "-c", line], capture_output=True, env={"LEAK": "1"}, check=True)
    found = dict(entry.split("=", 1) for entry in os.fsdecode(done.stdout).split("\0") if entry)
    assert found == variables | {f"W{number}": word for number, word in enumerate(HOSTILE)}


def test_a_program_is_shown_with_its_values(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw, COMMAND)
    assert started(hw, space.baseline, space)[-1] == "each worker runs: ./bench --mode 'a b' --threads 4"


# ----------------------------------------------------------------------------------------- one configuration


def test_the_baseline_unless_another_is_picked(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw)
    first = recipes.first(space, hw)
    assert plan.chosen(space, hw) == space.baseline
    for number, config in enumerate(first, 1):
        if configs.unavailable(config, hw) is None:
            assert plan.chosen(space, hw, number) == config
    for number in (0, len(first) + 1):
        with pytest.raises(SpaceError, match=rf"--pick is {number}; allowed: 1 to {len(first)}, the configurations"):
            plan.chosen(space, hw, number)
    text = printed(space, hw, space.baseline)
    for number, config in enumerate(first, 1):
        baseline = " (the baseline)\n" if number == 1 else ""
        assert f"\n{number:3}  {words.configuration(config)}{baseline}" in text


def test_what_is_advised_but_does_nothing_here_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw)
    vain = configured(hw, "onnxruntime", huge_pages=True, allocator="tcmalloc")
    monkeypatch.setattr(recipes, "first", lambda *_: (space.baseline, vain))
    reason = "huge_pages: with tcmalloc only torch asks for huge pages, and onnxruntime runs without it"
    assert f"\n  2  {words.configuration(vain)} is passed over; {reason}\n" in printed(space, hw, space.baseline)
    with pytest.raises(SpaceError) as caught:
        plan.chosen(space, hw, 2)
    assert str(caught.value) == f"configuration 2 cannot be used on c8g.xlarge; {reason}"


def test_a_configuration_from_a_file(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw)
    config = configured(hw, "onnxruntime", 8, layout="4x1", allocator="mimalloc")
    path = written(tmp_path / "spec.json", config, space)
    assert plan.chosen(space, hw, file=path) == config
    knobs = {"layout": "4x1", "allocator": "mimalloc"}
    older = {
        "format": 1,
        "config": {"workload": {"batch_size": 8}, "backend": "onnxruntime", "options": {}, "knobs": knobs},
    }
    path.write_text(json.dumps(older))
    assert plan.chosen(space, hw, file=path) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knobs": {"layout": "5x1"}}, "cannot be used on c8g.xlarge; layout: 5x1 needs 5 cores, and 4 are usable"),
        ({"knobs": {"allocator": "tbbmalloc"}}, "cannot be used on c8g.xlarge; allocator: tbbmalloc was not found"),
        (
            {"knobs": {"allocator": "malloc2"}},
            "allocator is malloc2; allowed: jemalloc, mimalloc, system, tbbmalloc, tcmalloc",
        ),
        ({"knobs": {"huge_pages": 1}}, "huge_pages is 1; allowed: true, false"),
        ({"knobs": {"interpreter": "old"}}, "cannot be used on c8g.xlarge; interpreter: no environment old"),
        ({"knobs": {"alocator": "system"}}, "unknown knob 'alocator'; did you mean 'allocator'?"),
        ({"options": {"precision": "int1"}}, "options of torch_eager that are not legal: Invalid enum value 'int1'"),
        ({"backend": "onnxruntim"}, "unknown backend 'onnxruntim'; did you mean 'onnxruntime'?"),
        (
            {"backend": "command"},
            "cannot be used on c8g.xlarge; command runs a command; the workload is a torch module",
        ),
        (
            {"workload": {}},
            "is damaged: Object missing required field `batch_size` - at `$.config.workload`; give a best",
        ),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path: Path, change: dict[str, object], message: str) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw)
    config = {"workload": {"batch_size": 1}, "backend": "torch_eager", "options": {}, "knobs": {}} | change
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"format": 1, "config": config}))
    with pytest.raises(AutotuneError) as caught:
        plan.chosen(space, hw, file=path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_another_space_invented(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw, COMMAND)
    config = msgspec.structs.replace(space.baseline, options={"kind": "a b"})
    with pytest.raises(SpaceError, match=r"c8g\.xlarge; command has the options mode here, not kind"):
        plan.chosen(space, hw, file=written(tmp_path / "spec.json", config, space))


def test_a_missing_or_newer_file(tmp_path: Path) -> None:
    hw = plan.machine("c8g.xlarge")
    space = resolved(tmp_path, hw)
    with pytest.raises(StudyError, match=r"gone\.json cannot be read: No such file"):
        plan.chosen(space, hw, file=tmp_path / "gone.json")
    (tmp_path / "best.json").write_text('{"format": 2, "config": "in another form"}')
    with pytest.raises(StudyError, match=r"best\.json has format 2; this version of autotune reads up to 1"):
        plan.chosen(space, hw, file=tmp_path / "best.json")


# ------------------------------------------------------------------------------------------------- the whole


def test_everything_in_its_order_and_no_line_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOTUNE_CACHE", str(CACHE))
    assert artifacts.default_folder() == CACHE
    hw = plan.machine("two-socket-112c")
    space = resolved(tmp_path, hw)
    text = printed(space, hw, space.baseline)
    assert "\x1b" not in text
    parts = text.split("\n\n")
    assert parts[0].splitlines() == doctor.machine(hw)
    first, objective, limits, *rows, fixed = parts[1].splitlines()
    assert re.split("  +", objective) == ["objective", "throughput"]
    assert re.split("  +", limits) == ["limits", "centred_error at most 0.1"]
    assert re.fullmatch(r"torchvision:resnet50: up to \d+ configurations are searched", first)
    searched = {name: values for name, values in plan.settings(space.domains).items() if len(values) > 1}
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
from autotune.report.text import plan
seen = []
sys.addaudithook(lambda event, found: seen.append((event, str(found[0]))) if found else None)
hw = plan.machine("c8g.xlarge")
space = load(find({str(tmp_path / "space.yaml")!r}), hw)
plan.print_to(Console(), space, hw, plan.chosen(space, hw, 2))
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
