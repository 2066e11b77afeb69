"""The coordinator's end of the canary: a process of its own, started once and asked between blocks."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec

from autotune.core.machine import Hardware
from autotune.core.protocol import CanaryJob, Sense, Sensed
from autotune.core.results import Canary
from autotune.launch import launch_plan, worker_pool
from autotune.launch.worker_pool import WorkerFailed, Workers

ANSWER_S = 30.0
MEMORY_BYTES = 2**33


class CanaryProcess:
    """Senses how fast the machine is; `failure` says why it no longer does (it cannot be pinned, it crashed)."""

    def __init__(self, workers: Workers | None, failure: str | None = None) -> None:
        self._workers = workers
        self.failure = failure

    def sense(self, cpus: Sequence[int], seconds: float) -> Canary | None:
        """The speed of these CPUs right now; None once it has failed."""
        if self._workers is None or self.failure is not None:
            return None
        self._workers.send(Sense(cpus=tuple(cpus), seconds=seconds))
        try:
            (answer,) = cast(list[Sensed], self._workers.gather(ANSWER_S, "sensing"))
        except (WorkerFailed, OSError) as error:
            self.failure = str(error)
            return None
        return answer.canary


@contextlib.contextmanager
def running(hardware: Hardware, cache: Path, inherited: tuple[int, ...]) -> Iterator[CanaryProcess]:
    """A canary for as long as the context lasts; one that cannot be started has failed."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="autotune-canary-")))
        job = folder / "job.json"
        job.write_bytes(msgspec.json.encode(CanaryJob()))
        launched = launch_plan.sensing(hardware, os.environ, cache)
        try:
            workers = stack.enter_context(worker_pool.start(launched, job, folder, MEMORY_BYTES, inherited=inherited))
        except WorkerFailed as error:
            yield CanaryProcess(None, str(error))
        else:
            yield CanaryProcess(workers)
