"""A study of two trials that goes on, and a dashboard of it in a process of its own."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from autotune.core.results import TrialResult
from autotune.study.storage import store
from tests.report.folders import FAST
from tests.report.made import PLAIN, result

SERVE = """
import pathlib, sys
from autotune.report.dashboard import server
server.serve(pathlib.Path(sys.argv[1]), print, port=0)"""
RESULTS = (result(0, PLAIN, (10, 10.1)), result(1, FAST, (40, 40.4)))


def add(folder: Path, found: TrialResult) -> None:
    (folder / found.spec.folder).mkdir(parents=True, exist_ok=True)
    store.write_result(folder, found)


def begin(folder: Path, number: int) -> None:
    (folder / store.trial_folder(number)).mkdir()
    spec = msgspec.structs.replace(RESULTS[1].spec, id=number, folder=store.trial_folder(number))
    (folder / spec.folder / "spec.json").write_bytes(store.encode(spec))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A dashboard in a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SERVE, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line or process.communicate()[1]
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()
