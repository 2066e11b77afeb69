"""A backend that fails in every way that a runtime can; it imports no framework."""

# ruff: noqa: T201 - what it prints ends up in the logs that tests read

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from autotune.core.config import Config
from autotune.core.interfaces import Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value

packages: tuple[str, ...] = ("numpy",)
runs = ("module",)

Mode = Literal[
    "fine",
    "crash",
    "exit",
    "error",
    "memory_error",
    "full_disk",
    "allocator_error",
    "hang",
    "oom",
    "nan",
    "nan_at_the_end",
    "shape",
    "outputs",
    "ignored",
    "crash_later",
    "crash_in_a_round",
    "spin",
    "never_ready",
    "hang_later",
    "cpus_lost",
    "cpus_lost_at_once",
    "artifact",
    "prepare_error",
    "prepare_exit",
    "prepare_hang",
    "prepare_killed",
]


RAISED = {
    "error": ValueError("this model cannot be loaded\nin two lines"),
    "memory_error": MemoryError(),
    "full_disk": OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/dev/shm/torch_1"),
    "allocator_error": RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB"),
}
"""The errors that loading raises."""


class Options(Struct):
    """`mode`: what goes wrong; `round`: in which round of an interleaved run, where that is the fault."""

    mode: Mode = "fine"
    round: int = 0


def unavailable(options: Options, hw: Hardware) -> str | None:
    """Always there."""
    return None


def launch(options: Options, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing."""
    return LaunchPatch()


def source(options: Options) -> tuple[str, dict[str, Value]] | None:
    """Made from the workload itself."""
    return None


def cache_key(options: Options, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """Only some modes prepare anything."""
    return (options.mode,) if options.mode.startswith(("prepare", "artifact")) else None


def prepare(
    workload: Workload, options: Options, config: Config, hw: Hardware, folder: Path, source: Path | None
) -> None:
    """A file, or a failure."""
    if options.mode == "prepare_error":
        print("before the error", file=sys.stderr)
        raise RuntimeError("no such operator: frobnicate\nand a second line")
    if options.mode == "prepare_exit":
        print("the converter gave up", file=sys.stderr, flush=True)
        os._exit(7)
    if options.mode == "prepare_killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if options.mode == "prepare_hang":
        time.sleep(60)
    (folder / "model.bin").write_bytes(b"prepared by faulty")


def load(workload: Workload, options: Options, config: Config, folder: Path | None) -> FaultySession:
    """A session, or one of the failures of loading."""
    if options.mode == "artifact":
        assert folder is not None and (folder / "model.bin").read_bytes() == b"prepared by faulty"
    if options.mode == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    if options.mode == "exit":
        print("about to exit", file=sys.stderr, flush=True)
        os._exit(3)
    if options.mode == "cpus_lost_at_once":
        lose_cpus()
        raise RuntimeError("half of the CPUs are gone")
    if options.mode in RAISED:
        raise RAISED[options.mode]
    if options.mode == "hang":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print("grandchild", child.pid, flush=True)
        time.sleep(60)
    while options.mode == "never_ready":
        print(time.monotonic_ns(), flush=True)
        time.sleep(0.01)
    if options.mode == "spin":
        threading.Thread(target=spin, daemon=True).start()
    if options.mode == "oom":
        hoard = []
        while True:
            hoard.append(b"x" * 10_000_000)
            time.sleep(0.02)
    atexit.register(print, "an exit handler ran", flush=True)
    session = FaultySession(options.mode)
    if options.mode == "crash_in_a_round":
        session.crash_in(options.round)
    return session


def applied(session: FaultySession, options: Options, config: Config) -> str | None:
    """In effect, but for one mode."""
    return "the setting was ignored" if options.mode == "ignored" else None


def lose_cpus() -> None:
    """Leave one CPU to the coordinator, as a cpuset does that is narrowed while it runs."""
    os.sched_setaffinity(os.getppid(), {min(os.sched_getaffinity(os.getppid()))})


def spin() -> None:
    """A thread that never rests, as those of some runtimes; it lets others have the interpreter at once."""
    while True:
        hashlib.sha256(bytes(2**16)).digest()


class FaultySession:
    """Four outputs a sample, each call a millisecond."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.calls = 0

    def crash_in(self, round_: int) -> None:
        """Crash in this round: an interleaved run resumes its workers once to warm up, then once a round."""
        self.resumed = -1

        def resume(*_: object) -> None:
            self.resumed += 1
            if self.resumed == round_:
                print("crashed in a round", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGABRT)

        signal.signal(signal.SIGCONT, resume)

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """The first input."""
        return arrays[0]

    def __call__(self, batch: Any) -> Any:
        """Sleep, so that the rate is about the same everywhere."""
        self.calls += 1
        time.sleep(0.001)
        if self.calls > 100 and self.mode == "crash_later":
            print("crashed while measured", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGABRT)
        if self.calls == 100 and self.mode == "cpus_lost":
            lose_cpus()
        if self.calls > 100 and self.mode == "hang_later":
            time.sleep(60)
        result = np.tile(np.arange(4, dtype=np.float32), (len(batch), 1))
        if self.mode == "nan":
            result[0, 0] = np.nan
        if self.mode == "nan_at_the_end":
            result[-1, 0] = np.nan
        return result[:, :3] if self.mode == "shape" else result

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """One array; two in one mode."""
        return (result, result) if self.mode == "outputs" else (result,)

    def close(self) -> None:
        """Nothing."""
