from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SECRET, SPACE, TOO_LONG, WORKLOAD, Run


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
        ("{model: 'torchvision:resnet18'}", "workload has no 'inputs'"),
        ("{model: 'torchvision:resnet18', inputs: [{shape: [1, 3]}]}", "no input has 'batch' in its shape"),
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
        (
            ["--space", "nowhere.yaml"],
            "no space 'nowhere.yaml', neither a file nor shipped; shipped: asr-encoder, command, ",
        ),
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
