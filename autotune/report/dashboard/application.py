"""optuna-dashboard on a study's folder: what its page writes and deletes is refused, and would reach no study."""

from __future__ import annotations

import importlib.metadata
import math
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import msgspec

from autotune.core.errors import AutotuneError
from autotune.report.dashboard.loopback import is_loopback

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from autotune.report.dashboard.live_study import LiveStudy

OTHER_NAME = "this page is only shown under a name of this machine's own: http://127.0.0.1 or http://localhost"
REFUSED = "this page only shows a study; nothing can be changed or deleted here"
DETAIL = re.compile(r"/api/studies/\d+/?")
PAUSE_S = 10.0
"""The least time between two looks into the folder."""

SHARE = 50
"""Reading new results takes at most one part in so many of a core's time, however large the study is."""

MOST_ANSWERS = 32
Answer = tuple[str, list[tuple[str, str]], bytes]


class Dashboard:
    """The WSGI application: optuna-dashboard's own over a snapshot of a view, made anew when the folder has news.

    Answers of its interface are kept until then, so that a page that asks every two seconds costs nothing.
    """

    def __init__(
        self,
        view: LiveStudy,
        clock: Callable[[], float] = time.monotonic,
        used: Callable[[], float] = time.thread_time,
        local: bool = True,
    ) -> None:
        self.view, self.clock, self.used = view, clock, used
        self.local = local
        self.due = -math.inf
        self.lock = threading.Lock()
        self.answers: dict[str, Answer] = {}
        self.app: WSGIApplication = _refuse

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _refuse(environ, start_response)
        if not self._meant(environ):
            return _refuse(environ, start_response, OTHER_NAME)
        if not environ["PATH_INFO"].startswith("/api/"):
            return self.app(environ, start_response)
        status, headers, body = self._answer({**environ, "REQUEST_METHOD": "GET"})
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _meant(self, environ: WSGIEnvironment) -> bool:
        """True if a request names this machine; a page elsewhere whose name was bound to it anew does not."""
        return not self.local or is_loopback(environ.get("HTTP_HOST", "127.0.0.1"))

    def check(self) -> None:
        """Read the study, and ask for it as a page does; AutotuneError if the answer is not what pages of today get."""
        environ: WSGIEnvironment = {"PATH_INFO": "/api/studies/0", "QUERY_STRING": "after=0"}
        setup_testing_defaults(environ)
        try:
            status, _, _ = self._answer(environ)
            good = status.startswith("200")
        except (ImportError, AttributeError, TypeError, KeyError, msgspec.DecodeError) as error:
            raise _other_version(error) from error
        if not good:
            raise _other_version(ValueError(f"it answers {status}"))

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        key = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        with self.lock:
            begun, looks = self.used(), self.clock() >= self.due
            if looks and self.view.refresh():
                self.app = self._opened()
                self.answers.clear()
            found = self.answers.get(key) or self._asked(environ)
            if len(self.answers) >= MOST_ANSWERS:
                self.answers.clear()
            if found[0].startswith("200"):
                self.answers[key] = found
            if looks:
                self.due = self.clock() + max(PAUSE_S, SHARE * (self.used() - begun))
            return found

    def _opened(self) -> WSGIApplication:
        from optuna_dashboard import wsgi

        app: WSGIApplication = wsgi(self.view.snapshot(), artifact_store=self.view.files)
        return app

    def _asked(self, environ: WSGIEnvironment) -> Answer:
        """The answer of optuna-dashboard; a study has its trials' notes, which it would search for too slowly."""
        told: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            told[:] = [status, headers]
            return lambda _: None

        body = b"".join(self.app(environ, begin))
        status, headers = told
        if DETAIL.fullmatch(environ["PATH_INFO"]) and status.startswith("200"):
            body = self._noted(body)
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return status, [*kept, ("Content-Length", str(len(body)))], body

    def _noted(self, body: bytes) -> bytes:
        """A study with a note in each of its trials; the rest is left as it is, unread."""
        found = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        for name in ("trials", "best_trials"):
            trials = msgspec.json.decode(found[name], type=list[dict[str, msgspec.Raw]])
            for trial in trials:
                note = self.view.note(msgspec.json.decode(trial["number"], type=int))
                trial["note"] = msgspec.Raw(msgspec.json.encode({"version": 1, "body": note}))
            found[name] = msgspec.Raw(msgspec.json.encode(trials))
        return msgspec.json.encode(found)


def _refuse(environ: WSGIEnvironment, start_response: StartResponse, reason: str = REFUSED) -> Iterable[bytes]:
    # What is left unread would reset the connection before the page sees the answer.
    environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("403 Forbidden", [("Content-Type", "application/json")])
    return [msgspec.json.encode({"reason": reason})]


def _other_version(error: Exception) -> AutotuneError:
    try:
        version = importlib.metadata.version("optuna-dashboard")
    except importlib.metadata.PackageNotFoundError:
        version = "(not installed)"
    return AutotuneError(
        f"optuna-dashboard {version} cannot show a study ({type(error).__name__}: {error}); autotune knows 0.21: "
        "pip install 'optuna-dashboard==0.21.*'"
    )
