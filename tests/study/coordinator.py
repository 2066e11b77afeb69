"""A coordinator of its own, to be killed: `python -m tests.study.coordinator FOLDER MANNER TRIALS`.

With `hang` its third trial starts a process, notes it as a launcher does, and never ends; with `finish` all trials end.
With `together` it says that it is ready, begins when there is a file `go` beside the folder, and ends its first trial
when there is one `end`. It ends with status 2 and one line where the study refuses it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from autotune.core.errors import StudyError
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.launch import orphans
from autotune.study.search.driver import search
from autotune.study.storage import store
from tests.fake_executor import FakeExecutor
from tests.study import fakes

HANGS_AT = 3
ROOT = Path(__file__).parents[2]


def main(folder: Path, manner: str, trials: int) -> None:
    hw = fakes.machine()
    if manner == "together":
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        _wait_for(folder.parent / "go")

    executor = FakeExecutor(folder)

    def before(spec: TrialSpec, rules: MeasureRules) -> None:
        if manner == "hang" and len(executor.trials) == HANGS_AT - 1:
            _hang(folder / spec.folder, spec)
        if manner == "together":
            _wait_for(folder.parent / "end")

    executor.before = before
    with fakes.on_disk(folder, fakes.resolved(hw, fakes.SMALL, trials=trials), hw) as study:
        search(study, executor, fakes.Watcher(), MeasureRules())


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.001)


def _hang(folder: Path, spec: TrialSpec) -> None:
    folder.mkdir(parents=True)
    (folder / "spec.json").write_bytes(store.encode(spec))
    quiet = subprocess.DEVNULL  # a reader of our pipes must not wait for it
    worker = subprocess.Popen(["sleep", "90"], start_new_session=True, stdout=quiet, stderr=quiet)
    orphans.note(folder / "processes.json", [worker.pid])
    (folder.parent / "hanging").touch()
    time.sleep(90)


def start(folder: Path, manner: str, trials: int) -> subprocess.Popen[bytes]:
    """A coordinator as a process of its own."""
    command = [sys.executable, "-m", "tests.study.coordinator", str(folder), manner, str(trials)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    except StudyError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
