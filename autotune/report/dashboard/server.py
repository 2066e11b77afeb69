"""The HTTP server of the dashboard, and its priority."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import socketserver
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from autotune.core.errors import AutotuneError
from autotune.report.dashboard.loopback import is_loopback


def serve(folder: Path, say: Callable[[str], None], host: str = "127.0.0.1", port: int = 8080) -> None:
    """Serve the study in a folder until interrupted; `port` 0 takes a free one, and `say` is told the address.

    AutotuneError where the port cannot be had, or optuna-dashboard is of another kind; StudyError where there is no
    study that can be read. This process gives way to everything else on the machine from then on.
    """
    with _listening(host, port) as server:
        give_way()
        from autotune.report.dashboard.application import Dashboard
        from autotune.report.dashboard.live_study import LiveStudy

        local = is_loopback(host)
        app = Dashboard(LiveStudy(folder), local=local)
        app.check()
        server.set_app(app)
        name = socket.gethostname() if host == "0.0.0.0" else host
        say(f"dashboard http://{name}:{server.server_port}/dashboard/studies/0 (Ctrl-C ends it)")
        if not local:
            say(f"warning   whoever reaches {name} can read this study")
        server.serve_forever()


def give_way() -> None:
    """Leave the CPUs to what is measured: from now on this process runs only where nothing else wants to.

    Before numpy is imported: the threads of its OpenBLAS spin for a while after each product, and would not give way.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:  # some containers forbid it
        os.nice(19)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread a connection, since browsers keep idle ones open; none of them outlives the program."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that was closed is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Requests are not told."""


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[_Server]:
    try:
        server = _Server((host, port), _Quiet)
    except (OSError, OverflowError) as error:
        raise AutotuneError(f"cannot listen on port {port} of {host}: {_reason(error)}") from error
    try:
        yield server
    finally:
        server.server_close()


def _reason(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "another program has it; give another one, such as --port 8081, or --port 0 for any that is free"
    if number == errno.EACCES:
        return "only root may have it; give one from 1024 on, such as --port 8080"
    if isinstance(error, OverflowError):
        return "there is no such port; allowed: 0 to 65535"
    return f"{error}; give an IPv4 address of this machine, such as --host 127.0.0.1"
