from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

import autotune
from autotune import __version__
from autotune.cli import app, tune
from autotune.launch import canary_process, process
from autotune.report.export import writer
from autotune.space import find, json_schema
from tests.apply import made as apply_made
from tests.fake_executor import FakeExecutor

ROOT = Path(__file__).parents[1]
COMMANDS = {
    "show", "report", "dashboard", "compare", "export", "run", "verify", "doctor", "plan", "spaces", "schema",
    "environments", "cache",
}  # fmt: skip
SECRET = "hunter2"
WORKLOAD = "name: toy\nworkload: {model: 'torchvision:resnet18', inputs: [{shape: [batch, 3, 32, 32]}]}\n"
SPACE = f"{WORKLOAD}search: {{batch_size: [1, 2], backend: {{torch_eager: {{}}}}}}\nbudget: {{trials: 1}}\n"
TOO_LONG = "x" * 300
MNT_DETACH = 2


@dataclass(frozen=True)
class Done:
    """The outcome of a command: its exit status and the text that it wrote."""

    status: int
    out: str
    err: str

    @property
    def mistake(self) -> str:
        """The one line of a user's mistake."""
        assert self.status == 1, self
        assert self.err.startswith("autotune: ") and self.err.endswith("\n") and self.err.count("\n") == 1, self.err
        return self.err


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """The command line, in this process and an empty folder, where no child may be started."""

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("a child was started")

    @contextlib.contextmanager
    def unheard(*_: object) -> Iterator[None]:
        yield

    def command(*argv: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["autotune", *argv])
        with pytest.raises(SystemExit) as ended:
            app.main()
        assert isinstance(ended.value.code, int)
        out, err = capfd.readouterr()
        return Done(ended.value.code, out, err)

    monkeypatch.setattr(process, "spawn", refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(canary_process, "running", unheard)
    monkeypatch.setenv("AUTOTUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTOTUNE_INSTANCE_TYPE", "toy.large")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)
    yield command
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def quick(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same, where trials take no time."""

    @contextlib.contextmanager
    def executor(hw: object, folder: Path, cache: Path, observer: object) -> Iterator[FakeExecutor]:
        yield FakeExecutor(folder)

    monkeypatch.setattr(tune, "LocalExecutor", executor)
    return run


# ------------------------------------------------------------------------------------------------- commands and usage


def test_help_lists_every_command(run: Run) -> None:
    done = run("--help")
    listed = re.findall(r"^  ([a-z]+)  ", done.out.partition("Commands:")[2], re.MULTILINE)
    assert (done.status, done.err) == (0, "")
    assert set(listed) == COMMANDS
    options = set(re.findall(r"--[a-z-]+", done.out))
    assert options == {
        "--space", "--trials", "--minutes", "--name", "--studies", "--storage", "--seed", "--instance-type",
        "--skip-confirmation", "--prices", "--from", "--sampler", "--no-budget", "--version", "--help",
    }  # fmt: skip


def test_the_readme_has_every_command(run: Run) -> None:
    commands = (ROOT / "README.md").read_text()
    assert not [name for name in COMMANDS if f"`{name}`" not in commands and f"autotune {name}" not in commands]


def test_without_arguments_the_help_is_shown_as_a_usage_error(run: Run) -> None:
    assert run().status == 2
    assert run().out == run("--help").out


def test_version(run: Run) -> None:
    assert run("--version") == Done(0, f"autotune {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--space", "toy.yaml", "show", "x"], "got --space before show"),
        (["--space", "toy.yaml", "doctor"], "got --space before doctor"),
        (["--from", "x", "doctor"], "got --from before doctor"),
        (["--frob"], "--frob"),
        (["frob"], "frob"),
        (["show"], "study"),
        (["show", "a", "b"], "b"),
        (["doctor", "--frob"], "--frob"),
        (["--trials", "0", "--space", "toy.yaml"], "--trials"),
        (["--trials", "many", "--space", "toy.yaml"], "--trials"),
        (["--minutes", "0", "--space", "toy.yaml"], "--minutes"),
        (["--minutes", "nan", "--space", "toy.yaml"], "--minutes"),
        (["--minutes", "inf", "--space", "toy.yaml"], "--minutes"),
        (["--seed", "-1", "--space", "toy.yaml"], "--seed"),
        (["--seed", str(2**64), "--space", "toy.yaml"], "--seed"),
        (["--space"], "--space"),
    ],
)
def test_wrong_usage_is_exit_2(run: Run, tmp_path: Path, argv: list[str], says: str) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    done = run(*argv)
    assert (done.status, done.out) == (2, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("Error: ") and says in last
    assert os.listdir(tmp_path) == ["toy.yaml"]


def test_spaces_lists_what_is_shipped(run: Run) -> None:
    lines = run("spaces").out.splitlines()
    assert [line.split()[0] for line in lines] == [path.name for path in find.shipped()]
    assert all(Path(line.split()[1]).is_file() for line in lines)


def test_schema_is_json(run: Run) -> None:
    assert json.loads(run("schema").out) == json_schema.schema()


def test_doctor_has_a_line_for_each_setting(run: Run) -> None:
    done = run("doctor")
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    settings = [line.split()[0] for line in done.out.splitlines() if line and not line.startswith("not ")]
    assert settings[:6] == ["machine", "cpu", "usable", "isa", "memory", "software"]
    assert {"allocator", "huge_pages", "layout", "backend"} <= set(settings)
    assert "toy.large" in done.out.splitlines()[0]


def test_the_cache_is_shown_and_cleared(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    made = folder / "artifacts" / ("ab" * 32)
    made.mkdir(parents=True)
    manifest = {"what": "a model [x]", "prepare_s": 65, "files": {"m": {"bytes": 3 * 2**20, "sha256": ""}}}
    (made / "manifest.json").write_text(json.dumps(manifest))
    (folder / "mine.txt").touch()
    assert run("cache").out == f"    3 MiB  a model [x]  made in 1 min 05 s\n    3 MiB  in {folder}\n"
    assert run("cache", "--clear") == Done(0, f"cleared {folder}\n", "")
    assert run("cache").out == f"    0 KiB  in {folder}\n"
    assert (folder / "mine.txt").exists()


def test_a_study_and_its_table(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    studies = ["--studies", "st[red]"]
    done = quick("--space", "toy.yaml", *studies, "--trials", "2", "--skip-confirmation")
    assert (done.status, done.err) == (0, "")
    assert "study     st[red]/toy@toy.large\n" in done.out
    assert "   2/2  torch_eager contiguous float32, batch 2, 1x" in done.out
    again = quick("show", "toy@toy.large", *studies)
    assert again.status == 0 and "10.4/s" in again.out
    assert again.out.endswith("file      'st[red]/toy@toy.large/best.json'\n")


def test_a_study_is_confirmed_unless_that_is_skipped(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    best = tmp_path / "studies" / "toy@toy.large" / "best.json"
    command = ("--space", "toy.yaml", "--trials", "2")
    skipped = quick(*command, "--skip-confirmation")
    assert skipped.status == 0 and "confirming" not in skipped.out
    assert json.loads(best.read_text())["confirmed"] is False
    confirmed = quick(*command)
    assert confirmed.status == 0 and "\nconfirming 2 configurations against each other\n" in confirmed.out
    assert json.loads(best.read_text())["confirmed"] is True


def test_a_coloured_log_is_not_redrawn(quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = quick("--space", "toy.yaml").out
    assert "\x1b[1;32m10.2/s" in out
    assert not re.search(r"\x1b\[[0-9;?]*[A-Zhl]|\r", out)


def test_a_study_that_measured_nothing_is_exit_4(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "tune", lambda *_, **__: False)
    assert run("--space", "toy.yaml") == Done(4, "", "")


# --------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("search: {allocatr: system}", "unknown knob 'allocatr' in toy.yaml, line 3; did you mean 'allocator'?"),
        ("serch: {}", "unknown key 'serch' in toy.yaml, line 3; did you mean 'search'?"),
        ("search: {backend: {onnxrutime: {}}}", "unknown backend 'onnxrutime' in toy.yaml, line 3; did you mean 'onnx"),
        ("search: {backend: {torch_eager: {precison: auto}}}", "unknown torch_eager option 'precison' in toy.yaml, l"),
        ("search: {backend: {torch_eager: {precision: float16}}}", "is 'float16' in toy.yaml, line 3; allowed: bfloat"),
        ("search: {allocator: [tcmaloc]}", "is 'tcmaloc' in toy.yaml, line 3; allowed: jemalloc, mima"),
        ("search: {huge_pages: on}", "search.huge_pages is on in toy.yaml, line 3; write true"),
        ("search: {batch_size: {low: 8, high: 1}}", "has low 8 above high 1 in toy.yaml, line 3; write the smaller"),
        ("search: {batch_size: {low: 8}}", "search.batch_size has no 'high' in toy.yaml, line 3"),
        ("search: {batch_size: []}", "search.batch_size is an empty list in toy.yaml, line 3"),
        ("search: {batch_size: 0}", "search.batch_size is 0 in toy.yaml, line 3; allowed: a whole number from 1"),
        ("search: {batch_size: [1, -2]}", "is -2 in toy.yaml, line 3; allowed: a whole number from 1"),
        ("search: {batch_size: auto}", "search.batch_size has no 'auto' in toy.yaml, line 3; allowed: a whole"),
        ("search: {backend: {}}", "search.backend is empty in toy.yaml, line 3; allowed: command, "),
        ("search: {threads: 100000}", "fits in toy.yaml, line 3; 1x100000 needs 100000 cores"),
        ("search: !!python/object:os.system {}", "the tag 'tag:yaml.org,2002:python/object:os.system' in toy.y"),
        ("search: &a {}", "the anchor '&a' in toy.yaml, line 3"),
        ("search: {}\nsearch: {}", "duplicate key 'search' in toy.yaml, line 4; it already stands on line 3"),
        ("search: [1", "not YAML: "),
        ("", "there is no 'search' in toy.yaml, line 1"),
        ("search: {}\nobjective: latency", "unknown objective 'latency' in toy.yaml, line 4"),
        ("search: {}\nconstraints: {accuracy: {min: 1}}", "accuracy is never measured here in toy.yaml, line 4"),
        ("search: {}\nbaseline: {allocator: none}", "is 'none' in toy.yaml, line 4; allowed: jemalloc, mima"),
        ("search: {}\nbudget: {trials: 0}", "budget.trials is 0 in toy.yaml, line 4"),
        ("search: {}\nbudget: {minutes: -1}", "budget.minutes is -1 in toy.yaml, line 4; allowed: a number above 0"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_space_file_is_one_line(run: Run, tmp_path: Path, rest: str, says: str) -> None:
    (tmp_path / "toy.yaml").write_text(f"{WORKLOAD}{rest}\n")
    assert says in run("--space", "toy.yaml").mistake
    assert os.listdir(tmp_path) == ["toy.yaml"]


@pytest.mark.parametrize(
    ("workload", "says"),
    [
        ("{model: 'torchvison:resnet18', inputs: [{shape: [batch]}]}", "unknown provider 'torchvison' of workload.mod"),
        ("{model: resnet18, inputs: [{shape: [batch]}]}", "unknown provider 'resnet18' of workload.model"),
        ("{model: 'torchvision:', inputs: [{shape: [batch]}]}", "workload.model is 'torchvision:'"),
        ("{inputs: [{shape: [batch]}]}", "workload has no 'model'"),
        ("{model: 'torchvision:resnet18'}", "workload has no list of 'inputs'"),
        ("{model: 'torchvision:resnet18', inputs: [{shape: [1, 3]}]}", "a shape that does not begin with batch"),
        ("{model: 'torchvision:resnet18', weights: no.pth, inputs: [{shape: [batch]}]}", "the missing file 'no.pth'"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_workload_is_one_line(run: Run, tmp_path: Path, workload: str, says: str) -> None:
    (tmp_path / "toy.yaml").write_text(f"name: toy\nworkload: {workload}\nsearch: {{}}\n")
    assert re.search(re.escape(says) + r".* in toy\.yaml, line 2; ", run("--space", "toy.yaml").mistake)
    assert os.listdir(tmp_path) == ["toy.yaml"]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--space", "nowhere.yaml"], "no space 'nowhere.yaml', neither a file nor shipped; shipped: command, "),
        (["--space", "resnet5"], "did you mean 'resnet50' or"),
        (["--space", "."], "no space '.'"),
        (["--space", ""], "no space ''"),
        (["--space", "empty.yaml"], "nothing is written in empty.yaml, line 1"),
        (["--space", "bytes.yaml"], "bytes.yaml, line 2, is not UTF-8"),
        (["--space", TOO_LONG], "File name too long: xxx"),
        (["--space", "toy.yaml", "--name", "../x"], "a study cannot be named '../x'; allowed are letters, digits"),
        (["--space", "toy.yaml", "--name", ".x"], "a study cannot be named '.x'"),
        (["--space", "toy.yaml", "--instance-type", "a/b"], "a study cannot be named 'toy@a/b'"),
        (["--space", "toy.yaml", "--from", "nowhere"], "no study 'nowhere'; there is none in studies/"),
        (["show", "nowhere"], "no study 'nowhere'; there is none in studies/"),
        (["show", ""], "no study ''"),
        (["show", TOO_LONG], "File name too long: xxx"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run: Run, tmp_path: Path, argv: list[str], says: str) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "bytes.yaml").write_bytes(b"name: x\n\xff\xfe")
    assert says in run(*argv).mistake
    assert sorted(os.listdir(tmp_path)) == ["bytes.yaml", "empty.yaml", "toy.yaml"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite:////nowhere/at/all.db", "the storage /nowhere/at/all.db cannot be used: unable to open database file"),
        (f"postgresql://user:{SECRET}@127.0.0.1:1/x", "the storage postgresql://user:***@127.0.0.1:1/x cannot be used"),
        (f"mysql://user:{SECRET}@127.0.0.1:1/x", "the storage mysql://user:***@127.0.0.1:1/x cannot be used"),
        (f"postgresql://user@127.0.0.1:1/x?password={SECRET}", "cannot be used"),
        (f"nosuch://user:{SECRET}@127.0.0.1:1/x", "cannot be used"),
        ("no url", "cannot be used"),
    ],
)
def test_a_storage_out_of_reach_leaves_no_study(quick: Run, tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    done = quick("--space", "toy.yaml", "--storage", url)
    assert says in done.mistake and "--storage" in done.mistake
    assert SECRET not in done.err + done.out
    assert os.listdir(tmp_path) == ["toy.yaml"]


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--studies", "toy.yaml", "the study folder toy.yaml/toy@toy.large cannot be made: "),
        ("--studies", "/proc/x", "the study folder /proc/x/toy@toy.large cannot be made: "),
        ("--studies", TOO_LONG, "File name too long: xxx"),
        ("--name", TOO_LONG, "File name too long"),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(
    quick: Run, tmp_path: Path, option: str, value: str, says: str
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    assert says in quick("--space", "toy.yaml", option, value).mistake
    assert list(tmp_path.glob("**/domains.json")) == []


@pytest.mark.parametrize("cache", ["toy.yaml", "/proc/x"])
def test_a_cache_that_cannot_be_used_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    monkeypatch.setenv("AUTOTUNE_CACHE", cache)
    assert "cannot be used: " in run("--space", "toy.yaml").mistake
    assert "set AUTOTUNE_CACHE to a folder of yours" in run("--space", "toy.yaml").mistake
    assert os.listdir(tmp_path) == ["toy.yaml"]


# ---------------------------------------------------------------------------------------- a study of something else


@pytest.fixture
def begun(quick: Run, tmp_path: Path) -> Path:
    """The folder of a study that is done."""
    (tmp_path / "toy.yaml").write_text(SPACE)
    assert quick("--space", "toy.yaml").status == 0
    return tmp_path / "studies" / "toy@toy.large"


def unchanged(folder: Path) -> dict[str, bytes]:
    """The folder's files, but those of the database while it is open."""
    return {path.name: path.read_bytes() for path in folder.rglob("*.json")}


def test_a_study_of_another_machine_is_left_alone(quick: Run, begun: Path) -> None:
    hardware = json.loads((begun / "hardware.json").read_text()) | {"cpu_model": "Another"}
    (begun / "hardware.json").write_text(json.dumps(hardware))
    before = unchanged(begun)
    says = "the study studies/toy@toy.large began on another type of machine"
    assert re.search(rf"{says} .*; choose another --name$", quick("--space", "toy.yaml").mistake)
    assert unchanged(begun) == before


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("[1, 2]", "[1, 2, 4]", r"search\.batch_size = \[1,2\], which is now \[1,2,4\]"),
        ("resnet18", "resnet34", r'workload\.model = "torchvision:resnet18", which is now "torchvision:resnet34"'),
        ("torch_eager", "onnxruntime", r"search\.backend\."),
    ],
)
def test_a_study_of_another_space_is_left_alone(
    quick: Run, begun: Path, tmp_path: Path, old: str, new: str, key: str
) -> None:
    before = unchanged(begun)
    (tmp_path / "toy.yaml").write_text(SPACE.replace(old, new))
    assert re.search(
        rf"began with {key}.*; put it back, or choose another --name$", quick("--space", "toy.yaml").mistake
    )
    assert unchanged(begun) == before


def test_the_budget_of_a_space_can_be_left_out(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    done = quick("--space", "toy.yaml", "--no-budget")
    assert "\nbudget    none: until nothing better is to be expected\n" in done.out
    assert "\nevery configuration of the space was tried, after " in done.out
    assert "2 trials" not in done.out and "trials    2:" in done.out


def test_a_study_begins_with_what_others_found_best(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    command = ("--space", "toy.yaml", "--trials", "2")
    assert "\nfirst " not in quick(*command, "--name", "old").out
    said = "\nfirst     1 configuration from old\n"
    assert said in quick(*command, "--name", "new", "--from", "old", "--from", "studies/old").out
    assert "\nfirst " not in quick(*command, "--name", "new").out  # it has begun
    assert "\nfirst     1 configuration from new\n" in quick(*command, "--name", "another").out  # the latest
    both = quick(*command, "--name", "named", "--from", "old", "--from", "new").out
    assert "\nfirst     1 configuration from old, none from new\n" in both
    shutil.rmtree(tmp_path / "studies" / "old")
    assert quick(*command, "--name", "new", "--from", "old").status == 0  # which it needs no more
    mistake = quick(*command, "--name", "new", "--from", "another").mistake
    assert "studies/new began without --from another (it has: old); leave that out, or choose another --" in mistake


def test_a_study_to_begin_with_that_cannot_be_read_is_one_line(quick: Run, begun: Path, tmp_path: Path) -> None:
    (begun / "hardware.json").write_text("{")
    done = quick("--space", "toy.yaml", "--name", "new", "--from", "toy@toy.large")
    assert re.search(r"--from \S+/toy@toy\.large: .*hardware\.json is damaged: .*; leave it out$", done.mistake)
    assert not (tmp_path / "studies" / "new").exists()
    assert "first  " not in quick("--space", "toy.yaml", "--name", "new").out


def test_a_folder_that_is_no_study_is_left_alone(quick: Run, tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    (tmp_path / "studies" / "mine").mkdir(parents=True)
    (tmp_path / "studies" / "mine" / "thesis.txt").touch()
    assert "studies/mine exists and is not a study" in quick("--space", "toy.yaml", "--name", "mine").mistake
    assert os.listdir(tmp_path / "studies" / "mine") == ["thesis.txt"]


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "is damaged: "), ('{"format": 99}', "has format 99; this version of autotune reads up to")],
)
def test_a_damaged_study_is_one_line(quick: Run, begun: Path, content: str, says: str) -> None:
    (begun / "domains.json").write_text(content)
    for argv in (["show", "toy@toy.large"], ["--space", "toy.yaml"]):
        assert f"studies/toy@toy.large/domains.json {says}" in quick(*argv).mistake


# ------------------------------------------------------------------------------------------------------- full disks


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, leave: int) -> None:
        """Leave so many bytes free."""
        (self.folder / "filler").unlink(missing_ok=True)
        state = os.statvfs(self.folder)
        (self.folder / "filler").write_bytes(bytes(max(0, state.f_bavail * state.f_frsize - leave)))

    def free(self) -> None:
        (self.folder / "filler").unlink()


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Disk]]:
    """Mounts a tmpfs; skips where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tmp_path / "disk"

    def mount(options: str) -> Disk:
        folder.mkdir()
        if libc.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options.encode()):
            folder.rmdir()
            pytest.skip(f"a tmpfs cannot be mounted: {errno.errorcode[ctypes.get_errno()]}")
        return Disk(folder)

    yield mount
    if folder.is_dir():
        libc.umount2(bytes(folder), MNT_DETACH)


def test_a_full_disk_leaves_no_study(quick: Run, tmp_path: Path, mounted: Callable[[str], Disk]) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m")
    disk.fill(0)
    done = quick("--space", "toy.yaml", "--studies", str(disk.folder / "st"))
    assert (
        "toy@toy.large cannot be made: No space left on device; mend that, or choose another with --s" in done.mistake
    )
    assert [path for path in disk.folder.rglob("*") if path.is_file()] == [disk.folder / "filler"]


@pytest.mark.parametrize("leave", [20_000, 60_000, 130_000, 250_000])
def test_a_disk_that_fills_up_is_one_line_and_the_study_goes_on(
    quick: Run, tmp_path: Path, mounted: Callable[[str], Disk], leave: int
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m")
    disk.fill(leave)
    command = ("--space", "toy.yaml", "--studies", str(disk.folder), "--trials", "2")
    done = quick(*command)
    if done.status:
        assert re.search("no space left for .*; free some and run the same command again: finished tr", done.mistake)
    else:
        assert leave == 250_000
    disk.free()
    assert quick(*command).status == 0
    best = json.loads((disk.folder / "toy@toy.large" / "best.json").read_text())
    assert best["confirmed"]


def test_a_full_disk_under_the_cache_is_one_line(
    run: Run, tmp_path: Path, mounted: Callable[[str], Disk], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toy.yaml").write_text(SPACE)
    disk = mounted("size=1m,nr_inodes=3")
    monkeypatch.setenv("AUTOTUNE_CACHE", str(disk.folder / "cache"))
    says = f"cache {disk.folder / 'cache'}: free some, run `python -m autotune cache --cl"
    assert says in run("--space", "toy.yaml").mistake
    assert not (tmp_path / "studies").exists()


# --------------------------------------------------------------------------------------------- what is nobody's mistake


def test_another_system_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "autotune needs Linux (pinning, /proc, LD_PRELOAD); this is darwin" in run("doctor").mistake


def test_a_bug_is_exit_3_with_its_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> NoReturn:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(find, "shipped", broken)
    done = run("spaces")
    assert (done.status, done.out) == (3, "")
    found = re.fullmatch(r"autotune: a bug in autotune; please report it with the log (\S+)\n", done.err)
    assert found is not None
    log = Path(found[1]).read_text()
    assert log.startswith("Traceback (most recent call last):") and log.endswith("RuntimeError: two\nlines\n")
    assert "in broken" in log


def test_a_missing_file_that_nobody_expected_is_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "shipped", lambda: Path("nowhere").read_text())
    assert run("spaces").status == 3


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_any_command_with_its_status(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    def interrupted() -> tuple[Path, ...]:
        os.kill(os.getpid(), number)
        return ()

    monkeypatch.setattr(find, "shipped", interrupted)
    assert run("spaces") == Done(status, "", "")


@pytest.mark.parametrize("command", [["spaces"], ["doctor"], ["schema"], ["--help"]])
def test_a_reader_that_has_enough_is_no_bug(command: list[str]) -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "autotune", *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() == 1


@pytest.mark.parametrize("command", ["doctor", "schema"])
def test_a_full_disk_under_the_output_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "autotune", command], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"autotune: No space left on device: writing the output\n")


# ------------------------------------------------------------------------------------------------- what is imported


def imported(*argv: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "autotune", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}


HEAVY = {"optuna", "numpy", "torch", "scipy", "sqlalchemy", "yaml", "psutil"}


@pytest.mark.parametrize("argv", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    modules = imported(*argv)
    assert {"autotune", "typer"} <= modules
    assert not modules & (HEAVY | {"rich", "msgspec"})


def test_doctor_imports_no_framework() -> None:
    modules = imported("doctor")
    assert {"autotune", "rich", "msgspec"} <= modules
    assert not modules & {"optuna", "torch", "torchvision", "onnxruntime", "openvino", "onnx", "nncf", "numpy"}


# ---------------------------------------------------------------------------------------------------- using a best.json


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_run_starts_the_program_after_the_dashes(tmp_path: Path, force: list[str]) -> None:
    best = apply_made.best(environment={}, preload=())
    writer.write(tmp_path / "best.json", best)
    command = [sys.executable, "-m", "autotune", "run", str(tmp_path / "best.json"), *force, "--", "sh", "-c", "exit 5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 5, done


def test_the_public_names_are_those_that_completion_offers() -> None:
    assert dir(autotune) == sorted(autotune.__all__)


def test_a_best_json_is_exported_by_itself_and_picks_nothing(run: Run, tmp_path: Path) -> None:
    writer.write(tmp_path / "best.json", apply_made.best(environment={"A": "b"}, preload=()))
    done = run("export", str(tmp_path / "best.json"), "--format", "env")
    assert (done.status, done.err) == (0, "") and "A=b\n" in done.out
    assert run("export", str(tmp_path / "best.json"), "--pick", "3").status == 2
    missing = str(tmp_path / "no" / "such")
    assert "cannot be written" in run("export", str(tmp_path / "best.json"), "-o", missing).mistake
