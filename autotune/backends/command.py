"""Runs the program of a `command` workload, one run a call; its options are the placeholders of the command line."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.core import bounded_log, command_template
from autotune.core.config import Config
from autotune.core.interfaces import Call, Form, Workload
from autotune.core.launch_patch import LaunchPatch
from autotune.core.machine import Hardware
from autotune.core.struct import Struct, Value
from autotune.core.variables import PYTHONPATH

if TYPE_CHECKING:
    import numpy as np

packages: tuple[str, ...] = ()
runs: tuple[Form, ...] = ("command",)
free = True

PR_SET_CHILD_SUBREAPER = 36
PIDFD_OPEN = 434
"""The system call's number on every architecture: os.pidfd_open is missing in conda's and uv's Python."""

LOOK_MS = 250
"""The interval at which a running program's output is looked at."""

SHOWN = 300
GRACE_NS = 10**9
"""Seconds that a program's children may outlive it: Python's own resource_tracker ends a moment after its parent."""

clock = time.monotonic_ns


class Options(Struct):
    """The names in braces of the command line, each with its values."""


def unavailable(options: Any, hw: Hardware) -> str | None:
    """Never: the program says itself what it cannot do."""
    return None


def launch(options: Any, config: Config, hw: Hardware) -> LaunchPatch:
    """Nothing: the program inherits what the knobs set."""
    return LaunchPatch()


def source(options: Any) -> tuple[str, dict[str, Value]] | None:
    """There is no model to make anything from."""
    return None


def cache_key(options: Any, config: Config, hw: Hardware) -> tuple[Any, ...] | None:
    """Nothing to prepare."""
    return None


def prepare(workload: Workload, options: Any, config: Config, hw: Hardware, folder: Path, source: Path | None) -> None:
    """Never called: there is no cache_key."""
    raise AssertionError("a command prepares nothing")


def load(workload: Workload, options: Any, config: Config, folder: Path | None) -> CommandSession:
    """The command line with the configuration's values."""
    spec = workload.spec
    return CommandSession(command_template.filled(spec.name, config), spec.options, config.workload.batch_size)


def applied(session: Any, options: Any, config: Config) -> str | None:
    """Nothing to prove: the values stand in the command line itself."""
    return None


class CommandSession:
    """Starts the program for each call and waits for its end; what it prints on stderr goes to the worker's log."""

    def __init__(self, argv: list[str], settings: dict[str, Any], batch_size: int) -> None:
        self.argv = argv
        self.folder = settings["folder"]
        self.timeout_s = settings["timeout_s"]
        self.samples = (settings["samples"] or batch_size) if settings["reads"] == "runs" else None
        self.batch_size = batch_size
        # Our own entry leads to this package and what is installed beside it, which is nothing of the program's.
        _, _, theirs = os.environ.get(PYTHONPATH, "").partition(os.pathsep)
        self.env = {name: value for name, value in os.environ.items() if name != PYTHONPATH}
        self.env |= {PYTHONPATH: theirs} if theirs else {}
        # What the program leaves running becomes our child, so that it is noticed.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

    def convert(self, arrays: tuple[np.ndarray[Any, Any], ...]) -> Any:
        """A program makes its own inputs."""
        return None

    def __call__(self, batch: Any) -> Any:
        """One run."""
        return self._run(clock())

    def outputs(self, result: Any) -> tuple[np.ndarray[Any, Any], ...]:
        """Nobody sees them."""
        return ()

    def stream(self, batch: Any, stop_ns: int) -> tuple[list[Call], int]:
        """Runs one after the other until the instant."""
        calls: list[Call] = []
        begin_cpu, begin = _programs_cpu_ns(), clock()
        while not calls or calls[-1].end < stop_ns:
            calls.append(self._run(calls[-1].end if calls else begin))
        return calls, _programs_cpu_ns() - begin_cpu

    def programs_rss_bytes(self) -> int:
        """The peak memory of the largest process of a program; at least the worker's own, which each one forks from."""
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024

    def close(self) -> None:
        """Nothing is left running."""

    def _run(self, begin: int) -> Call:
        """A run, counted from an instant on: from the end of the one before, since starting it takes time, too.

        RuntimeError if the program fails, leaves something running or prints no figure; TimeoutError if it hangs. Then
        nothing of it runs on.
        """
        try:
            return self._run_once(begin)
        except BaseException:
            _kill_left()
            raise

    def _run_once(self, begin: int) -> Call:
        with tempfile.TemporaryFile() as out:
            fcntl.fcntl(out, fcntl.F_SETFL, os.O_APPEND)  # it goes on behind what is left of a long output
            try:
                program = subprocess.Popen(
                    self.argv, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=out
                )
            except OSError as error:
                raise RuntimeError(f"{self.argv[0]} does not start: {error.strerror}") from error
            printed = Path(f"/proc/self/fd/{out.fileno()}")
            if not _ends(program.pid, self.timeout_s, lambda: bounded_log.free(printed)):
                raise TimeoutError(f"the program ran longer than timeout_s: {self.timeout_s:g} s")
            end = clock()
            status = program.wait()
            if os.fstat(out.fileno()).st_size > bounded_log.ALLOWED_BYTES:
                bounded_log.cut(printed)
            out.seek(0)
            text = out.read().decode(errors="replace")
        if status != 0:
            sys.stderr.write(text)
            how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
            raise RuntimeError(f"the program {how}; {_last(text)}")
        if _left_running():
            raise RuntimeError("the program ended and left a process running; let it wait for what it starts")
        if self.samples is not None:
            return Call(begin, end, self.samples / self.batch_size)
        throughput, latencies_ns = figures(text)
        return Call(begin, end, throughput * (end - begin) / 1e9 / self.batch_size, latencies_ns)


def figures(text: str) -> tuple[float, tuple[int, ...]]:
    """Throughput (samples/s) and latencies (ns) of the one JSON line that has them; RuntimeError otherwise."""
    results = []
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and "throughput" in data:
            results.append(data)
    if len(results) != 1:
        how_many = f"{len(results)} JSON lines" if results else "no JSON line"
        raise RuntimeError(f'the program printed {how_many} with "throughput"; it must print one; {_last(text)}')
    throughput = results[0]["throughput"]
    given = results[0].get("latencies_ms", results[0].get("latency_ms", []))
    latencies: list[Any] = given if isinstance(given, list) else [given]
    if not all(_positive(figure) for figure in (throughput, *latencies)):
        shown = json.dumps(results[0])[:SHOWN]
        raise RuntimeError(f"the program's figures must be numbers above 0; it printed {shown}")
    return float(throughput), tuple(int(figure * 1e6) for figure in latencies)


def _positive(figure: object) -> bool:
    return isinstance(figure, int | float) and not isinstance(figure, bool) and 0 < figure < math.inf


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"its last line: {lines[-1][:SHOWN]}" if lines else "it printed nothing"


def _ends(pid: int, timeout_s: float, meanwhile: Callable[[], None]) -> bool:
    """True if a child ends in time, told at once: Popen.wait(timeout) looks only every 50 ms.

    `meanwhile` is called now and then.
    """
    watched = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_OPEN, pid, 0)
    if watched < 0:
        number = ctypes.get_errno()
        needs = "; a command needs Linux 5.3 or later" if number == errno.ENOSYS else ""
        raise OSError(number, f"pidfd_open: {os.strerror(number)}{needs}")
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        limit_ns = clock() + timeout_s * 1e9
        while (left_ms := (limit_ns - clock()) / 1e6) > 0:
            if poll.poll(min(left_ms, LOOK_MS)):
                return True
            meanwhile()
        return False
    finally:
        os.close(watched)


def _left_running() -> bool:
    """True if a child runs on, now that the program itself has ended; those that end soon are waited for."""
    limit = clock() + GRACE_NS
    try:
        while clock() < limit:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.001)
    except ChildProcessError:
        return False
    return True


def _kill_left() -> None:
    """End the program with all that it started, whatever sessions these made: who loses its parent becomes our child.

    It must happen here: once this process is gone, nobody knows whose they were. What became another user's stays.
    """
    with contextlib.suppress(ChildProcessError, PermissionError):
        while True:
            for child in _children():
                os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)


def _children() -> list[int]:
    """This process's own, ended ones too; the parent's number is the second field after the name in brackets."""
    children = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it is gone meanwhile
            fields = Path(f"/proc/{entry}/stat").read_bytes().rpartition(b")")[2].split()
            if int(fields[1]) == os.getpid():
                children.append(int(entry))
    return children


def _programs_cpu_ns() -> int:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * 1e9)
