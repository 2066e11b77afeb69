"""`python -m autotune.worker JOB RANK COMMANDS REPLIES PARENT`: one measured, preparing or sensing process.

It pins itself before anything that starts threads is imported, and ends by itself when its coordinator does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path

import msgspec

from autotune.core import full_disk
from autotune.core.protocol import CanaryJob, Failed, Job, MeasureJob, Prepared, PrepareJob
from autotune.core.results import Status
from autotune.worker.channel import Channel
from autotune.worker.check_failed import CheckFailed
from autotune.workloads._torch import mend_torchvision

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do the job, reporting any failure as a value; frameworks' own exit handlers are skipped."""
    job_path, rank, commands, replies, parent = sys.argv[1:]
    _end_with_parent(int(parent))
    channel = Channel(int(commands), int(replies))
    job: Job = msgspec.json.decode(Path(job_path).read_bytes(), type=Job)
    try:
        _run(job, int(rank), channel)
    except CheckFailed as failed:
        channel.send(Failed(status=failed.status, message=str(failed)))
    except MemoryError as error:
        _print_traceback()
        channel.send(Failed(status=Status.OUT_OF_MEMORY, message=_summary(error)))
    except Exception as error:
        _print_traceback()
        number = full_disk.error_number(error)
        folders = (getattr(job, "folder", "."), os.getcwd())
        path = None if number is None else full_disk.full_path(error, folders)
        status, passing = _status(job, error), _is_passing(error)
        channel.send(Failed(status=status, message=_summary(error), errno=number, path=path, passing=passing))
    with contextlib.suppress(OSError):  # a full disk was reported above
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def _print_traceback() -> None:
    with contextlib.suppress(OSError):  # a full disk must not keep its own error from being reported
        traceback.print_exc()
        sys.stderr.flush()


def _run(job: Job, rank: int, channel: Channel) -> None:
    if isinstance(job, MeasureJob):
        for thread in os.listdir("/proc/self/task"):  # a preloaded allocator may have started one
            os.sched_setaffinity(int(thread), job.placements[rank].cpus)
        from autotune.worker import loop

        mend_torchvision()
        loop.run(job, rank, channel)
    elif isinstance(job, CanaryJob):
        from autotune.worker import canary

        canary.run(channel)
    else:
        from autotune.worker import prepare

        mend_torchvision()
        prepare.run(job, channel)
        channel.send(Prepared())


def _end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its coordinator dies, and before it when memory runs out."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    score = Path("/proc/self/oom_score_adj")
    with contextlib.suppress(OSError):  # a container's /proc may be read-only
        score.write_text(str(max(500, int(score.read_text()))))  # lowering it (a pod may start at 1000) is refused


def _status(job: Job, error: Exception) -> Status:
    text = str(error).lower()
    if "can't allocate memory" in text or "bad_alloc" in text or "not enough memory" in text:
        return Status.OUT_OF_MEMORY
    if isinstance(job, PrepareJob):
        return Status.PREPARE_FAILED
    return Status.TIMEOUT if isinstance(error, TimeoutError) else Status.CRASHED


def _is_passing(error: BaseException | None) -> bool:
    """True if a file, a module or the network was lacking, which may be there the next time."""
    while error is not None:
        if isinstance(error, OSError | ImportError):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


def _summary(error: BaseException) -> str:
    text = str(error).encode(errors="replace").decode()  # a lone surrogate could not be sent
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


if __name__ == "__main__":
    main()
