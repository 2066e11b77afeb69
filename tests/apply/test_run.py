"""The processes that `run` starts; real processes are in test_worker_group.py."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.apply import run
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.config import Placement
from autotune.core.errors import MachineError, NotStarted, StudyError
from autotune.core.machine import Cpu, Hardware
from autotune.launch.launch_plan import LaunchPlan
from autotune.report.export import writer
from autotune.space import configs
from tests.apply import programs
from tests.apply.made import FAST, HW, best, library
from tests.report.made import config

CACHE = Path("/cache")


def planned(found: Best, hw: Hardware = HW, environ: dict[str, str] = {}, **asked: Any) -> LaunchPlan:  # noqa: B006
    return run.plan(found, Path("best.json"), ("serve", "--port=1"), hw, environ, CACHE, **asked)


# ------------------------------------------------------------------------------------------------- what is asked


def test_the_users_environment_with_the_settings_on_top() -> None:
    found = best(environment={"OMP_NUM_THREADS": "1", "GONE": None, "TMPDIR": "{cache}/x"})
    environ = {"MINE": "kept", "OMP_NUM_THREADS": "64", "GONE": "still here"}
    first, second = planned(found, environ=environ).workers
    assert first.env == {
        "MINE": "kept",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": "/cache/x",
        "AUTOTUNE_BEST": os.path.abspath("best.json"),
        "AUTOTUNE_RANK": "0",
        "AUTOTUNE_WORLD_SIZE": "2",
    }
    assert second.env == first.env | {"AUTOTUNE_RANK": "1"}
    assert first.argv == ("serve", "--port=1")


def test_torchs_own_names_come_only_when_asked_for() -> None:
    found = planned(best(), torch_distributed_env=True).workers[1].env
    assert (found["RANK"], found["WORLD_SIZE"]) == ("1", "2")
    assert "RANK" not in planned(best()).workers[1].env


def test_what_is_preloaded_already_stays_behind_ours(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    environ = {"LD_PRELOAD": "/opt/agent.so"}
    assert planned(found, hw, environ).workers[0].env["LD_PRELOAD"] == f"{found.preload[0]}:/opt/agent.so"
    plain = best(config("onnxruntime", 8, layout="2x1"))
    there = planned(plain, hw, environ)
    assert there.workers[0].env["LD_PRELOAD"] == "/opt/agent.so"
    assert run.changes(plain, there, environ) == [
        "set here, and not when it was measured: LD_PRELOAD; unset what is not meant"
    ]


def test_variables_that_runtimes_read_are_noticed_but_for_our_own() -> None:
    environ = {"OMP_NUM_THREADS": "64", "KMP_AFFINITY": "compact", "OMP_PROC_BIND": "close", "HOME": "/"}
    found = best(environment={"OMP_NUM_THREADS": "1", "OMP_PROC_BIND": None})
    (line,) = run.changes(found, planned(found, environ=environ), environ)
    assert line == "set here, and not when it was measured: KMP_AFFINITY; unset what is not meant"


def test_a_missing_library_is_left_out() -> None:
    assert "LD_PRELOAD" not in planned(best()).workers[0].env


def test_words_before_the_program_have_the_workers_nodes(tmp_path: Path) -> None:
    program = tmp_path / "numactl"
    program.touch(0o755)
    hw = msgspec.structs.replace(HW, cpus=tuple(Cpu(id=i, core=i, socket=0, node=i) for i in (0, 1)))
    found = best(argv_prefix=(str(program), "--membind={node}"))
    assert [worker.argv[1] for worker in planned(found, hw).workers] == ["--membind=0", "--membind=1"]
    program.unlink()
    assert planned(found, hw).workers[0].argv == ("serve", "--port=1")


# ------------------------------------------------------------------------------------------------------ which CPUs


def machine(*places: tuple[int, int, int], allowed: tuple[int, ...] | None = None) -> Hardware:
    """CPUs by (number, core, node)."""
    cpus = tuple(Cpu(id=cpu, core=core, socket=0, node=node) for cpu, core, node in places)
    return msgspec.structs.replace(HW, cpus=cpus, allowed_cpus=allowed or tuple(cpu.id for cpu in cpus))


FOUR = [(i, i, 0) for i in range(4)]


def placed(found: Best, hw: Hardware) -> list[tuple[int, ...]]:
    return [place.cpus for place in run.placements(found, hw)]


def test_the_tuned_cpus_where_they_do_the_same() -> None:
    tuned = best(layout=(Placement(cpus=(3,), threads=1), Placement(cpus=(1,), threads=1)))
    assert placed(tuned, machine(*FOUR)) == [(3,), (1,)]
    assert run.changes(tuned, planned(tuned, machine(*FOUR)), {}) == []


def test_others_where_the_tuned_ones_are_not_allowed() -> None:
    elsewhere = machine(*FOUR, allowed=(2, 3))
    assert placed(best(), elsewhere) == [(2,), (3,)]
    assert run.changes(best(), planned(best(), elsewhere), {}) == [
        "layout: the tuned CPUs are others here; the workers run on 2 | 3"
    ]


def test_others_where_the_tuned_ones_share_a_core() -> None:
    assert placed(best(), machine((0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0))) == [(0,), (2,)]


def test_others_where_a_worker_would_straddle_nodes() -> None:
    tuned = best(config("onnxruntime", 8, layout="1x2"), layout=(Placement(cpus=(0, 1), threads=2, node=0),))
    assert placed(tuned, machine((0, 0, 0), (1, 1, 1), (2, 2, 0), (3, 3, 1))) == [(0, 2)]
    anywhere = msgspec.structs.replace(tuned, layout=(Placement(cpus=(0, 1), threads=2),))
    assert placed(anywhere, machine((0, 0, 0), (1, 1, 1), (2, 2, 0), (3, 3, 1))) == [(0, 1)]


def test_workers_share_where_there_are_too_few() -> None:
    tuned = best(config("onnxruntime", 8, layout="2x2"), machine(*FOUR))
    assert placed(tuned, machine(*FOUR[:3])) == [(0, 1), (0, 2)]
    assert placed(tuned, machine(*FOUR[:1])) == [(0,), (0,)]


# ---------------------------------------------------------------------------------------------------- what is said


def started(folder: Path, found: Best, hw: Hardware, *command: str, force: bool = False) -> tuple[int, list[str]]:
    """The status and what was warned of; only for what several workers run."""
    writer.write(folder / "best.json", found)
    said: list[str] = []
    environ = {"PATH": os.environ["PATH"]}
    status = run.run(folder / "best.json", command, hw, environ, folder / "cache", said.append, force=force)
    return status, said


def here(this_machine: Hardware, **fields: Any) -> Best:
    """Two workers that share this machine's first CPU, if it has but one."""
    return best(environment={}, preload=(), hardware=this_machine, versions={}, **fields)


def test_a_missing_library_is_an_error_unless_forced(tmp_path: Path, this_machine: Hardware) -> None:
    found = here(this_machine)
    found = msgspec.structs.replace(found, preload=("/nowhere/a.so",))
    with pytest.raises(MachineError) as caught:
        started(tmp_path, found, this_machine, "true")
    said = f"{tmp_path}/best.json cannot be used here; "
    assert str(caught.value).startswith(said) and "preload: /nowhere/a.so is missing" in str(caught.value)
    assert str(caught.value).endswith("; or go without by --force") and "\n" not in str(caught.value)
    status, warned = started(tmp_path, found, this_machine, "true", force=True)
    assert status == 0
    assert any(line.startswith("preload: /nowhere/a.so is missing") for line in warned)


def test_too_few_cores_are_an_error_unless_forced(tmp_path: Path, this_machine: Hardware) -> None:
    cpu = this_machine.cores[0]
    small = msgspec.structs.replace(this_machine, cpus=(cpu,), allowed_cpus=(cpu.id,))
    with pytest.raises(MachineError, match="layout: 2x1 needs 2 cores, and 1 are usable"):
        started(tmp_path, here(this_machine), small, "true")
    status, _ = started(tmp_path, here(this_machine), small, "sh", "-c", "exit 5", force=True)
    assert status == 5


def test_another_processor_is_a_warning(tmp_path: Path, this_machine: Hardware) -> None:
    other = msgspec.structs.replace(this_machine, cpu_model="Tuned 9000", isa=())
    status, warned = started(tmp_path, here(other), this_machine, "true", force=True)
    assert status == 0
    assert warned[0] == f"tuned on Tuned 9000; this is {this_machine.cpu_model}"


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("no-such-program", 127, "'no-such-program' was not found: it is nowhere in PATH; write the program after --"),
        ("./no/such", 127, "'./no/such' was not found: there is no such file; write the program after --"),
        ("{folder}/plain", 126, "is not executable; chmod +x it, or name its interpreter"),
        ("{folder}/", 126, "is a folder"),
        ("{folder}/broken", 126, "does not start: Exec format error"),
    ],
)
def test_a_program_that_cannot_be_started(
    tmp_path: Path, this_machine: Hardware, name: str, status: int, said: str
) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "broken").write_text("no program")
    (tmp_path / "broken").chmod(0o755)
    with pytest.raises(NotStarted, match=re.escape(said)) as caught:
        started(tmp_path, here(this_machine), this_machine, name.format(folder=tmp_path), force=True)
    assert caught.value.status == status


def test_a_damaged_file_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(StudyError, match="is damaged"):
        run.run(tmp_path / "best.json", ("true",), HW, {}, tmp_path, print)


def test_the_cache_folder_is_there_for_the_program(tmp_path: Path, this_machine: Hardware) -> None:
    found = msgspec.structs.replace(here(this_machine), environment={"TMPDIR": "{cache}/inductor"})
    status, _ = started(tmp_path, found, this_machine, "sh", "-c", 'test -d "$TMPDIR"', force=True)
    assert status == 0


# --------------------------------------------------------------------------------------------------------- one worker


def test_a_single_worker_takes_the_place_of_the_process(tmp_path: Path, this_machine: Hardware) -> None:
    """Pinned, with the signals' own meaning and what the process was given to read."""
    cpu = this_machine.cores[0].id
    single = best(config("onnxruntime", 8, layout="1x1"), environment={}, layout=(Placement(cpus=(cpu,), threads=1),))
    show = (
        "import os, signal, sys; print(os.getpid(), os.sched_getaffinity(0), os.environ['AUTOTUNE_RANK'],"
        " signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, sys.stdin.read())"
    )
    argv = programs.argv(tmp_path, single, sys.executable, "-c", show)
    running = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    told, _ = running.communicate("hello", timeout=60)
    assert told == f"{running.pid} {{{cpu}}} 0 True hello\n"


def test_a_broken_pipe_ends_it_as_it_would_alone(tmp_path: Path, this_machine: Hardware) -> None:
    single = best(config("onnxruntime", 8, layout="1x1"), environment={})
    argv = programs.argv(tmp_path, single, "sh", "-c", "kill -s PIPE $$; exit 0")
    assert subprocess.run(argv, check=False).returncode == -signal.SIGPIPE


def test_the_made_winner_has_two_workers() -> None:
    assert FAST.layout.workers == 2


@pytest.mark.parametrize("allocator", ["tcmalloc", "jemalloc", "mimalloc"])
def test_a_real_allocator_serves_the_program(tmp_path: Path, this_machine: Hardware, allocator: str) -> None:
    if reason := plugins.load("knobs", "allocator").unavailable(allocator, this_machine):
        pytest.skip(reason)
    chosen = configs.configure(
        this_machine, batch_size=1, backend="onnxruntime", knobs={"allocator": allocator, "layout": "1x1"}
    )
    proves = (
        "from autotune.hardware import probe; from autotune.knobs import allocator, layout; hw = probe.probe();"
        f"print(allocator.applied({allocator!r}, hw), layout.applied('1x1', hw))"
    )
    argv = programs.argv(tmp_path, best(chosen, this_machine), sys.executable, "-c", proves)
    environ = os.environ | {"PYTHONPATH": str(Path(run.__file__).parents[2])}
    assert subprocess.run(argv, env=environ, capture_output=True, text=True, check=True).stdout == "None None\n"
