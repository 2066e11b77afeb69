from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from autotune.apply import best_file
from autotune.core.best import Best
from autotune.core.errors import StudyError
from autotune.core.machine import Cpu
from autotune.report.export import writer
from tests.apply.made import FAST, best, library

Change = Callable[[dict[str, Any]], object]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    writer.write(tmp_path / "best.json", best())
    assert best_file.read(tmp_path / "best.json") == best()


def changed(folder: Path, change: Change) -> Path:
    """The file with one change by hand."""
    plain = json.loads(msgspec.json.encode(best()))
    change(plain)
    (folder / "best.json").write_text(json.dumps(plain))
    return folder / "best.json"


def test_a_file_of_an_earlier_version_is_completed(tmp_path: Path) -> None:
    def earlier(plain: dict[str, Any]) -> None:
        for key in ("baseline", "argv_prefix", "accuracy", "objective", "constraints"):
            del plain[key]
        del plain["config"]["knobs"]["numa"]
        del plain["config"]["options"]["spinning"]

    found = best_file.read(changed(tmp_path, earlier))
    assert found == msgspec.structs.replace(best(), baseline=None)
    assert (found.config.knobs["numa"], found.config.options["spinning"]) == ("default", True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plain: plain.update(format=2), "has format 2; this version of autotune reads up to 1; update autotune"),
        (lambda plain: plain.update(alocator="x"), "unknown field `alocator`"),
        (lambda plain: plain["measured"].update(spedup=2), "unknown field `spedup` - at `$.measured`"),
        (lambda plain: plain.pop("study"), "missing required field `study`"),
        (
            lambda plain: plain["layout"][0].update(threads="two"),
            "Expected `int`, got `str` - at `$.layout[0].threads`",
        ),
        (lambda plain: plain["config"]["workload"].update(batch_size=0), "config.workload.batch_size is 0; allowed"),
        (lambda plain: plain["config"].update(backend="onnxruntim"), "did you mean 'onnxruntime'?"),
        (
            lambda plain: plain["config"]["options"].update(precision="int3"),
            "options of onnxruntime that are not legal",
        ),
        (lambda plain: plain["config"]["options"].update(nonsense=1), "unknown field `nonsense`"),
        (
            lambda plain: plain["config"]["knobs"].update(alocator="x"),
            "unknown knob 'alocator'; did you mean 'allocator'",
        ),
        (
            lambda plain: plain["config"]["knobs"].update(allocator="x"),
            "config.knobs.allocator is 'x'; allowed: jemalloc,",
        ),
        (lambda plain: plain["config"]["knobs"].pop("layout"), "config.knobs has no 'layout'"),
        (
            lambda plain: plain["baseline"]["knobs"].update(layout="0x1"),
            "baseline.knobs.layout is '0x1'; allowed: WORKERS",
        ),
        (
            lambda plain: plain["config"]["knobs"].update(layout="1x2"),
            "layout has 2 workers, and config.knobs.layout is 1x2",
        ),
        (lambda plain: plain["layout"][0].update(threads=3), "layout[0].threads is 3, and config.knobs.layout is 2x1"),
        (lambda plain: plain["layout"][0].update(cpus=[]), "layout[0].cpus is []; allowed: 1 numbers of CPUs"),
        (lambda plain: plain["layout"][0].update(cpus=[-1]), "layout[0].cpus is [-1]"),
        (lambda plain: plain["layout"][1].update(cpus=[0]), "layout[1].cpus has CPU 0, which another worker has, too"),
        (lambda plain: plain["environment"].update({"A B": "1"}), "environment has 'A B'; allowed: letters"),
        (lambda plain: plain["environment"].update(LD_PRELOAD="/x.so"), "libraries stand under preload"),
        (lambda plain: plain["environment"].update(A="\0"), "environment.A has a zero byte"),
        (
            lambda plain: plain.update(preload=["relative.so"]),
            "preload has 'relative.so'; allowed: a path from the root",
        ),
        (lambda plain: plain.update(preload=["/a.so:/b.so"]), "preload has '/a.so:/b.so'"),
        (lambda plain: plain.update(argv_prefix=[""]), "argv_prefix has an empty word"),
        (lambda plain: plain.update(argv_prefix=["rm", "-rf"]), "argv_prefix starts 'rm'; allowed: numactl"),
        (lambda plain: plain["workload"].update(model="nowhere:x"), "workload.model is 'nowhere:x'; allowed: command"),
    ],
)
def test_a_change_by_hand_is_named_in_one_line(tmp_path: Path, change: Change, said: str) -> None:
    path = changed(tmp_path, change)
    with pytest.raises(StudyError) as caught:
        best_file.read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"study": "x"', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "best.json"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"best\.json is damaged: .*; write it again with `python -m autotune export"):
        best_file.read(path)


def test_a_missing_file_and_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"there is no file .*gone\.json; write it again with"):
        best_file.read(tmp_path / "gone.json")
    with pytest.raises(StudyError, match=r"is a folder; name the best\.json in it$"):
        best_file.read(tmp_path)


# ------------------------------------------------------------------------------------------------ other machines


def test_the_tuned_machine_differs_in_nothing(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    assert best_file.differences(found, hw) == best_file.blocking(found, hw) == []


def test_another_processor_fewer_cores_and_other_versions_are_said(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    cpus = (Cpu(id=0, core=0, socket=0, node=0),)
    packages = hw.packages | {"onnxruntime": "9.9"}
    small = msgspec.structs.replace(hw, cpu_model="other", isa=(), cpus=cpus, allowed_cpus=(0,), packages=packages)
    needs = "layout: 2x1 needs 2 cores, and 1 are usable"
    assert best_file.blocking(found, small) == [needs]
    assert best_file.differences(found, small) == [
        "tuned on toy; this is other, without avx512f",
        "tuned with 2 usable cores; here are 1",
        needs,
        "tuned with onnxruntime 1.0; here is 9.9",
    ]


def test_a_missing_library_is_named_with_what_to_install(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    (path,) = found.preload
    Path(path).unlink()
    bare = msgspec.structs.replace(hw, libraries={})
    (said,) = best_file.differences(found, bare)
    assert said.startswith(f"preload: {path} is missing; tcmalloc was not found")
    assert "apt-get install libtcmalloc-minimal4" in said


def test_a_library_that_lies_elsewhere_is_named(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    (path,) = found.preload
    Path(path).rename(tmp_path / "moved.so")
    moved = msgspec.structs.replace(hw, libraries={"tcmalloc": str(tmp_path / "moved.so")})
    assert best_file.differences(found, moved) == [
        f"preload: {path} is missing; it is at {tmp_path}/moved.so here: write that under 'preload'"
    ]


def test_a_library_that_no_setting_asks_for(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    own = msgspec.structs.replace(found, preload=("/nowhere/own.so",))
    assert best_file.blocking(own, hw) == [
        "preload: /nowhere/own.so is missing; install it, or take it out of 'preload'"
    ]


def test_a_missing_interpreter_and_numactl(tmp_path: Path) -> None:
    hw, found = library(tmp_path)
    config = msgspec.structs.replace(FAST, knobs=FAST.knobs | {"interpreter": "ipex"})
    apart = msgspec.structs.replace(found, config=config, argv_prefix=("/nowhere/numactl", "--membind={node}"))
    assert best_file.blocking(apart, hw) == ["argv_prefix: there is no program '/nowhere/numactl'; install it"]
    assert any(line.startswith("interpreter: no environment ipex") for line in best_file.differences(apart, hw))


def test_the_struct_says_what_the_speed_up_is_over() -> None:
    assert isinstance(best(), Best) and best().baseline is not None
