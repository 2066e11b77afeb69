from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from autotune.core.best import Best
from autotune.report.export import writer
from tests.apply.made import best
from tests.report.export.forms import unit
from tests.report.export.forms.samples import BOUND, HOSTILE, NUMA, SPREAD, single

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def settings(found: Best) -> dict[str, str]:
    return dict(unit.settings(writer.text(found, "systemd")))


def test_one_worker_is_a_service_with_its_cpus() -> None:
    found = settings(single({"GONE": None}, preload=("/lib/100%.so",)))
    assert found["CPUAffinity"] == str(single({}).layout[0].cpus[0])
    assert (found["UnsetEnvironment"], found["AssertPathExists"]) == ("GONE", "/lib/100%%.so")
    assert found["ExecStart"] == "/usr/local/bin/PROGRAM"


def test_several_are_a_template_whose_instances_find_their_cpus() -> None:
    text = writer.text(best(BOUND, NUMA), "systemd")
    found = dict(unit.settings(text))
    assert found["ExecStart"] == (
        '/usr/bin/taskset -c ${AUTOTUNE_CPUS_%i} "/usr/bin/numactl" "--membind=${AUTOTUNE_NODES_%i}" '
        "/usr/local/bin/PROGRAM"
    )
    environ = unit.environment(text, instance="1")
    assert (environ["AUTOTUNE_CPUS_1"], environ["AUTOTUNE_NODES_1"]) == ("1", "1")
    assert (environ["AUTOTUNE_RANK"], environ["AUTOTUNE_WORLD_SIZE"]) == ("1", "2")
    assert "systemctl enable --now autotune-resnet18@0.service autotune-resnet18@1.service" in text


def test_words_before_the_program_are_quoted() -> None:
    found = settings(single({}, argv_prefix=("/opt/num actl", '$a%b"c')))
    assert found["ExecStart"] == '"/opt/num actl" "$$a%%b\\"c" /usr/local/bin/PROGRAM'


@needs_systemd
@pytest.mark.parametrize(
    ("found", "name"),
    [
        (
            single({f"V{i}": value for i, value in enumerate(HOSTILE)} | {"TMPDIR": "{cache}/x", "GONE": None}),
            "x.service",
        ),
        (single({}, argv_prefix=("/bin/true", '$a%b"c\n')), "x.service"),
        (best(BOUND, NUMA), "x@.service"),
        (best(SPREAD, NUMA), "x@.service"),
    ],
)
def test_systemd_itself_accepts_the_unit(tmp_path: Path, found: Best, name: str) -> None:
    text = re.sub("/usr/(local/bin/PROGRAM|bin/numactl|bin/taskset)", "/bin/true", writer.text(found, "systemd"))
    (tmp_path / name).write_text(text)
    shown = tmp_path / name.replace("@", "@0")
    argv = ["systemd-analyze", "verify", "--man=no", str(shown)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if str(tmp_path) in line or line.startswith(shown.name)]
    assert not told
