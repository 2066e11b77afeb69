"""Tests that all forms must pass, hostile values among them; the files beside have those of one form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.apply import best_file
from autotune.core.best import Claim
from autotune.core.errors import StudyError
from autotune.report.export import writer
from tests.apply.made import best
from tests.report.export.forms import dockerfile, unit
from tests.report.export.forms.samples import BOUND, HOSTILE, NUMA, ONE, container, single
from tests.report.made import HW, config

VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=60)
LINES = VALUES.filter(lambda value: len(f".{value}.".splitlines()) == 1)
often = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def named(values: list[str]) -> dict[str, str | None]:
    return {f"V{number}": value for number, value in enumerate(values)}


def sourced(text: str) -> dict[str, str]:
    """The environment of a program that a shell script starts, as real bash has it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "best.sh"
        path.write_text(text)
        show = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(k + b'=' + v for k, v in os.environb.items()))"
        environ = {"PATH": os.environ["PATH"], "HOME": folder, "GONE": "still here"}
        argv = ["bash", str(path), sys.executable, "-Ic", show]
        done = subprocess.run(argv, env=environ, capture_output=True, check=True, cwd=folder)
        assert not done.stderr
        assert os.listdir(folder) == ["best.sh"] or "{cache}" not in text
    return dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0"))


def written_env(text: str) -> dict[str, str]:
    """As `docker run --env-file` reads it."""
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def kubelet(text: str) -> dict[str, str]:
    """The variables of a container once `$$` is one dollar; AssertionError if another variable would be put in."""
    found = {one["name"]: one["value"] for one in container(text)["env"]}
    for value in found.values():
        assert "$" not in value.replace("$$", "")
    return {name: value.replace("$$", "$") for name, value in found.items()}


READERS = {
    "docker": dockerfile.variables,
    "env": written_env,
    "kubernetes": kubelet,
    "shell": sourced,
    "systemd": unit.environment,
    "onnxruntime": lambda text: json.loads(text)["environment"],
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_arrives_as_it_is(form: str, value: str) -> None:
    text = writer.text(single({"A": value, "GONE": None}), form)
    found = READERS[form](text)
    assert found["A"] == value
    assert "GONE" not in found


@pytest.mark.parametrize("form", ["docker", "env", "systemd", "kubernetes"])
@often
@given(st.lists(LINES, max_size=3))
def test_any_line_arrives_as_it_is(form: str, values: list[str]) -> None:
    found = READERS[form](writer.text(single(named(values)), form))
    assert {name: value for name, value in found.items() if name.startswith("V")} == named(values)


@settings(deadline=None, max_examples=25)
@given(st.lists(VALUES, min_size=1, max_size=5))
def test_a_real_shell_hands_any_text_on(values: list[str]) -> None:
    found = sourced(writer.text(single(named(values)), "shell"))
    assert {name: found[name] for name in named(values)} == named(values)


@pytest.mark.parametrize("form", ["systemd", "kubernetes", "onnxruntime", "shell"])
@pytest.mark.parametrize("value", ["a\nENV B=c\n", "x\r\ny", "a\x0bb", "\x1b[31m\x7f"])
def test_line_breaks_arrive_where_the_form_has_them(form: str, value: str) -> None:
    assert READERS[form](writer.text(single({"A": value}), form))["A"] == value


@pytest.mark.parametrize("form", ["docker", "env"])
def test_line_breaks_are_refused_where_it_has_not(form: str) -> None:
    with pytest.raises(StudyError, match=f"environment.A has a line break, which {form} cannot hold; use shell"):
        writer.text(single({"A": "a\nENV B=c"}), form)


@pytest.mark.parametrize("form", [form for form in writer.formats() if form != "ovms"])
def test_names_from_elsewhere_stay_in_their_comment(form: str) -> None:
    evil = "x\nENV A=b\nRUN rm -rf /\u2028$(id)"
    hw = msgspec.structs.replace(HW, cpu_model=evil, instance_type=evil)
    workload = msgspec.structs.replace(best().workload, model=f"torchvision:{evil}")
    chosen = config("torch_eager") if form == "torchserve" else ONE
    text = writer.text(best(chosen, hw, study=evil, workload=workload, versions={evil: evil}), form)
    assert not any(line.startswith(("ENV A", "RUN rm")) for line in text.splitlines())
    if form in READERS:
        assert READERS[form](text)


@pytest.mark.parametrize("form", ["docker", "env", "kubernetes", "shell", "systemd"])
def test_the_cache_folder_and_libraries_are_explained(form: str) -> None:
    found = single({"TMPDIR": "{cache}/in 'ductor"}, preload=("/usr/lib/libtcmalloc.so",))
    text = writer.text(found, form)
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert any("LD_PRELOAD" in line and "/usr/lib/libtcmalloc.so" in line for line in comments)
    assert any("cache folder" in line for line in comments)
    assert not any("{cache}" in line for line in text.splitlines())


@pytest.mark.parametrize("form", ["docker", "env", "kubernetes", "systemd"])
def test_the_cache_folder_has_a_place(form: str) -> None:
    text = writer.text(single({"TMPDIR": "{cache}/inductor"}, preload=("/lib/a.so", "/lib/b.so")), form)
    found = READERS[form](text)
    assert found["TMPDIR"] == "/var/cache/autotune/inductor"
    assert found["LD_PRELOAD"] == "/lib/a.so:/lib/b.so"


def test_json_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(writer.text(best(), "json"))
    assert best_file.read(tmp_path / "best.json") == best()


def test_every_form_is_a_file_and_an_unknown_one_is_named() -> None:
    assert set(writer.formats()) == {
        *("docker", "env", "json", "kubernetes", "onnxruntime", "ovms", "shell", "systemd", "torchserve")
    }
    with pytest.raises(StudyError, match=r"unknown format 'kubernets'; did you mean 'kubernetes'\?"):
        writer.text(best(), "kubernets")


@pytest.mark.parametrize(
    ("form", "backend"), [("ovms", "onnxruntime"), ("onnxruntime", "openvino"), ("torchserve", "openvino")]
)
def test_a_form_that_does_not_fit_the_backend_is_refused(form: str, backend: str) -> None:
    with pytest.raises(StudyError, match=f"{form} runs .* models, and the backend is {backend}; use shell or docker"):
        writer.text(best(config(backend, layout="2x1")), form)


@pytest.mark.parametrize("form", ["docker", "kubernetes", "shell", "systemd"])
def test_no_form_leaves_the_nodes_open(form: str) -> None:
    assert "{node}" not in writer.text(best(BOUND, NUMA), form)


@pytest.mark.parametrize(
    ("confirmed", "runs", "indirect", "said"),
    [
        (True, 4, False, "confirmed in 4 interleaved runs"),
        (True, 3, True, "confirmed in 3 interleaved runs, by way of another configuration"),
        (False, 2, False, "from 2 interleaved runs: not confirmed"),
        (False, 1, False, "from 1 interleaved run: not confirmed"),
        (False, None, False, "from the search alone: not confirmed"),
    ],
)
def test_a_gain_says_what_stands_behind_it(confirmed: bool, runs: int | None, indirect: bool, said: str) -> None:
    gain = Claim(estimate=6.7, low=6.09, high=7.37, runs=runs, indirect=indirect)
    measured = msgspec.structs.replace(best().measured, speedup=gain)
    first = writer.text(best(measured=measured, confirmed=confirmed), "env").splitlines()[0]
    assert first.endswith(f"; 6.70 (6.09 to 7.37) times the baseline, {said}")


def test_a_gain_that_is_not_known_is_not_claimed() -> None:
    measured = msgspec.structs.replace(best().measured, speedup=None)
    first = writer.text(best(measured=measured), "env").splitlines()[0]
    assert first == "# torchvision:resnet18 on onnxruntime, batches of 8, 2x1 (workers x threads); confirmed"
