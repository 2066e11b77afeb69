from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from autotune.core.errors import AutotuneError, MachineError, StudyError
from autotune.report.text import recorded_machines
from autotune.study.storage import store
from tests import recorded

NAMES = ("c7i.xlarge", "c8g.xlarge", "container-1.5cpu", "two-socket-112c")


def test_these_machines_come_with_autotune() -> None:
    assert tuple(recorded_machines.recorded()) == NAMES == tuple(sorted(recorded.TREES))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_machine_is_what_a_probe_finds(name: str, tmp_path: Path) -> None:
    found = recorded.record(recorded.TREES[name], tmp_path)
    assert recorded_machines.find(name) == found, "write them anew: python -m tests.recorded"


@pytest.mark.parametrize("name", NAMES)
def test_a_machine_survives_json(name: str, tmp_path: Path) -> None:
    hw = recorded_machines.find(name)
    for text in (recorded.rendered(hw).encode(), store.encode(hw)):
        (tmp_path / "hardware.json").write_bytes(text)
        assert recorded_machines.find(str(tmp_path / "hardware.json")) == hw
    assert recorded_machines.find(f"{name}.json") == hw


def test_recorded_software() -> None:
    x86, arm, container = (recorded_machines.find(name) for name in ("c7i.xlarge", "c8g.xlarge", "container-1.5cpu"))
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
    (tmp_path / "c7i.xlarge").write_bytes(store.encode(recorded_machines.find("c8g.xlarge")))
    assert recorded_machines.find("c7i.xlarge").cpu_model == "Neoverse-V2"


def test_a_machine_that_there_is_not(tmp_path: Path) -> None:
    for name, hint in (
        ("c7i.xlrage", "; did you mean 'c7i.xlarge' or 'c8g.xlarge'?"),
        ("two-sockets.json", "; did you mean 'two-socket-112c'?"),
        (str(tmp_path), "; recorded: c7i.xlarge, c8g.xlarge, container-1.5cpu, two-socket-112c"),
        ("", "; recorded: c7i.xlarge, c8g.xlarge, container-1.5cpu, two-socket-112c"),
    ):
        with pytest.raises(MachineError) as caught:
            recorded_machines.find(name)
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
    fields = msgspec.json.decode(store.encode(recorded_machines.find("c7i.xlarge"))) | change
    path = tmp_path / "hardware.json"
    path.write_text(json.dumps(fields))
    with pytest.raises(AutotuneError) as caught:
        recorded_machines.find(str(path))
    assert str(caught.value).startswith(f"{path} {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"name: toy\n"])
def test_a_file_of_something_else_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hardware.json"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"is damaged: .*; give the hardware\.json of a study, or one of c7i"):
        recorded_machines.find(str(path))
