"""A coordinator of its own, to be killed: `python -m tests.study.coordinator FOLDER MANNER TRIALS`.

With `hang` its third trial starts a process, notes it as a launcher does, and never ends; with `finish` all trials end.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil

from autotune.core.results import TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.launch.orphans import Started
from autotune.study.search.driver import search
from autotune.study.storage import store
from tests.study import fakes

HANGS_AT = 3


def main(folder: Path, manner: str, trials: int) -> None:
    hw = fakes.machine()
    quick = fakes.Machine(folder)

    def execute(spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        if manner == "hang" and len(quick.ran) == HANGS_AT - 1:
            _hang(folder / spec.folder, spec)
        return quick(spec, rules, incumbent)

    with fakes.on_disk(folder, fakes.resolved(hw, fakes.SMALL, trials=trials), hw) as study:
        search(study, execute, fakes.Watcher(), MeasureRules())


def _hang(folder: Path, spec: TrialSpec) -> None:
    folder.mkdir(parents=True)
    (folder / "spec.json").write_bytes(store.encode(spec))
    worker = subprocess.Popen(["sleep", "90"], start_new_session=True, stderr=subprocess.DEVNULL)
    started = Started(pid=worker.pid, started=psutil.Process(worker.pid).create_time())
    (folder / "processes.json").write_bytes(msgspec.json.encode([started]))
    (folder.parent / "hanging").touch()
    time.sleep(90)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
