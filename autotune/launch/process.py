"""The only file that starts processes: workers, users' programs, and short commands."""

from __future__ import annotations

import functools
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

Program = subprocess.Popen[bytes]


@dataclass
class Worker:
    """A worker's process, with our ends of its pipes and what was read of an unfinished line."""

    process: Program
    commands: int
    replies: int
    buffer: bytes = b""

    def exit_status(self, timeout_s: float) -> int | None:
        """The worker's exit status, negative after a signal; None if it runs longer."""
        try:
            return self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None


def spawn(
    argv: tuple[str, ...], env: dict[str, str], job: Path, rank: int, folder: Path, inherited: tuple[int, ...]
) -> Worker:
    """A worker in a session of its own that is handed the job file, its pipes and these file descriptors.

    OSError if it does not start.
    """
    command_read, command_write = os.pipe()
    reply_read, reply_write = os.pipe()
    own = (str(job), str(rank), str(command_read), str(reply_write), str(os.getpid()))
    try:
        with (folder / "stdout.log").open("ab") as out, (folder / "stderr.log").open("ab") as err:
            process = _in_lasting_thread(
                lambda: subprocess.Popen(
                    [*argv, *own],
                    env=env,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    pass_fds=(command_read, reply_write, *inherited),
                    start_new_session=True,
                )
            )
    except BaseException:
        os.close(command_write)
        os.close(reply_read)
        raise
    finally:
        os.close(command_read)
        os.close(reply_write)
    return Worker(process=process, commands=command_write, replies=reply_read)


def _in_lasting_thread(spawn: Callable[[], Program]) -> Program:
    """The process that is spawned by a thread which lasts as long as this program.

    The kernel ends a worker with the thread that spawned it (PR_SET_PDEATHSIG), which may end long before the program.
    """
    if threading.current_thread() is threading.main_thread():
        return spawn()
    process: Future[Program] = Future()
    _spawner().put((spawn, process))
    return process.result()


@functools.cache
def _spawner() -> queue.SimpleQueue[tuple[Callable[[], Program], Future[Program]]]:
    """The requests to a thread that spawns processes, and that nothing but the end of the program ends.

    The thread of a ThreadPoolExecutor ends with the main thread's code, which others may outlast.
    """
    requests: queue.SimpleQueue[tuple[Callable[[], Program], Future[Program]]] = queue.SimpleQueue()

    def serve() -> None:
        while True:
            spawn, process = requests.get()
            try:
                process.set_result(spawn())
            except BaseException as error:
                process.set_exception(error)

    threading.Thread(target=serve, name="spawner", daemon=True).start()
    return requests


def run_interactive(argv: Sequence[str]) -> int:
    """The exit status of a command that talks to the person at the terminal itself; OSError if it does not start."""
    return subprocess.run(list(argv), stdin=subprocess.DEVNULL, check=False).returncode


def program(argv: Sequence[str], env: dict[str, str], before: Callable[[], None]) -> Program:
    """A user's program in its own group, with our output; `before` runs in it first. OSError if it does not start."""
    nothing = subprocess.DEVNULL
    return subprocess.Popen(argv, env=env, stdin=nothing, close_fds=False, process_group=0, preexec_fn=before)  # noqa: PLW1509


def failure_line(argv: Sequence[str], env: dict[str, str], timeout_s: float | None = None) -> str | None:
    """None if a command succeeds in that time, else the last line that it said; OSError if it does not start."""
    try:
        done = subprocess.run(
            list(argv),
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{argv[0]} gave no answer within {timeout_s:g} s"
    lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
    return None if done.returncode == 0 else lines[-1]
