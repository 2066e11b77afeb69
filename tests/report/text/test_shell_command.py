from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autotune.core.config import Placement
from autotune.launch.launch_plan import WorkerPlan
from autotune.report.text import shell_command

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


def test_secrets_are_left_to_the_shell() -> None:
    secret = {"HF_TOKEN": "hf_abc", "https_proxy": "http://me:pass@proxy", "MODEL_DIR": "/models"}
    env = {"PATH": "/bin", "PYTHONPATH": "/ours:/theirs", **secret}
    entry = WorkerPlan(argv=("python",), env=env, placement=Placement(cpus=(0,), threads=1))
    line = shell_command.worker_command(entry, named=["MODEL_DIR", "PYTHONPATH"])
    assert line == (
        'env -i PATH=/bin PYTHONPATH=/ours:/theirs HF_TOKEN="$HF_TOKEN" https_proxy="$https_proxy" '
        'MODEL_DIR="$MODEL_DIR" python'
    )


@pytest.mark.parametrize("folder", ["plain", "it's $HOME\n\t*", "a=b"])
def test_a_line_starts_exactly_that_process(tmp_path: Path, folder: str) -> None:
    bash, env = shutil.which("bash"), shutil.which("env")
    assert bash is not None and env is not None
    program = tmp_path / folder / "env"  # prints its environment, to which its own arguments add
    program.parent.mkdir()
    program.symlink_to(env)
    variables = {"PATH": os.environ["PATH"], **{f"V{number}": word for number, word in enumerate(HOSTILE)}}
    argv = (str(program), "-0", *(f"W{number}={word}" for number, word in enumerate(HOSTILE)))
    line = shell_command.worker_command(WorkerPlan(argv=argv, env=variables, placement=Placement(cpus=(0,), threads=1)))
    assert all(letter.isprintable() for letter in line)
    done = subprocess.run([bash, "-c", line], capture_output=True, env={"LEAK": "1"}, check=True)
    found = dict(entry.split("=", 1) for entry in os.fsdecode(done.stdout).split("\0") if entry)
    assert found == variables | {f"W{number}": word for number, word in enumerate(HOSTILE)}
