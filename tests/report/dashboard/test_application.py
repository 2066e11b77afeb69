from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from autotune.core.errors import AutotuneError
from autotune.report.dashboard import application
from autotune.report.dashboard.application import PAUSE_S, SHARE, Dashboard
from autotune.report.dashboard.live_study import LiveStudy
from autotune.study.storage import store
from tests.fake_executor import Clock
from tests.report.dashboard.samples import RESULTS, add
from tests.report.folders import FAST, HOSTILE, full, keep
from tests.report.made import result
from tests.tune_harness import files


def ask(
    app: Dashboard, path: str, method: str = "GET", body: bytes = b"", query: str = "", host: str = "127.0.0.1:8080"
) -> tuple[int, bytes]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": host}
    environ |= {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body), "HTTP_ACCEPT_ENCODING": ""}
    setup_testing_defaults(environ)
    told: list[str] = []

    def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.append(status)
        return lambda _: None

    parts = app(environ, begin)
    answer = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    return int(told[0].split()[0]), answer


def detail(app: Dashboard, after: int = 0) -> dict[str, Any]:
    status, body = ask(app, "/api/studies/0", query=f"after={after}")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def opened(folder: Path, clock: Clock | None = None, used: Callable[[], float] = lambda: 0.0) -> Dashboard:
    app = Dashboard(LiveStudy(folder), clock or Clock(), used)
    app.check()
    return app


def test_the_page_gets_trials_with_notes_names_and_plots(tmp_path: Path) -> None:
    found = detail(opened(full(tmp_path).folder))
    assert len(found["trials"]) == 40
    assert found["objective_names"] == ["throughput"] and found["directions"] == ["maximize"]
    assert "finalists, against the baseline" in found["note"]["body"]
    assert {plot["id"] for plot in found["plotly_graph_objects"]} == {"path", "rates", "heat-map", "failures"}
    assert all(trial["note"]["body"] for trial in found["trials"])
    assert found["best_trials"][0]["note"]["body"] == found["trials"][found["best_trials"][0]["number"]]["note"]["body"]
    names = {parameter["name"] for trial in found["trials"] for parameter in trial["params"]}
    assert {"batch_size", "layout", "backend", "openvino.precision", "allocator"} <= names


def test_a_study_of_nothing_opens(tmp_path: Path) -> None:
    keep(tmp_path, [])
    app = opened(tmp_path)
    assert detail(app)["trials"] == []
    assert ask(app, "/api/studies")[0] == 200
    assert ask(app, "/dashboard/studies/0")[0] == 200


def test_news_of_the_folder_reach_the_page(tmp_path: Path) -> None:
    keep(tmp_path, RESULTS)
    clock = Clock()
    app = opened(tmp_path, clock)
    assert detail(app, after=2)["trials"] == []
    add(tmp_path, result(2, FAST, (41, 41)))
    assert detail(app, after=2)["trials"] == [], "the folder was looked into just now"
    clock.now += PAUSE_S
    (new,) = detail(app, after=2)["trials"]
    assert new["number"] == 2 and new["state"] == "Complete"


def test_a_page_that_asks_again_is_answered_from_memory(tmp_path: Path) -> None:
    keep(tmp_path, RESULTS)
    app = opened(tmp_path)
    first = detail(app)
    app.app = lambda environ, start_response: pytest.fail("asked again")
    assert detail(app) == first


def test_news_take_a_small_part_of_the_time(tmp_path: Path) -> None:
    keep(tmp_path, RESULTS)
    clock, cpu = Clock(), iter((0.0, 10.0, 20.0, 20.1, 21.0))
    app = opened(tmp_path, clock, lambda: next(cpu))  # took 10 s
    add(tmp_path, result(2, FAST, (41, 41)))
    clock.now += 10 * SHARE - 1
    assert detail(app, after=2)["trials"] == []
    clock.now += 1
    assert len(detail(app, after=2)["trials"]) == 1


def test_answers_do_not_pile_up(tmp_path: Path) -> None:
    keep(tmp_path, RESULTS)
    app = opened(tmp_path)
    for after in range(3 * application.MOST_ANSWERS):
        detail(app, after)
    assert len(app.answers) <= application.MOST_ANSWERS


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/0/rename"),
        ("PUT", "/api/studies/0/note"),
        ("PUT", "/api/studies/0/1/note"),
        ("POST", "/api/trials/1/tell"),
        ("POST", "/api/trials/1/user-attrs"),
        ("POST", "/api/artifacts/0/1"),
        ("PATCH", "/api/studies/0"),
    ],
)
def test_what_would_change_anything_is_refused(tmp_path: Path, method: str, path: str) -> None:
    keep(tmp_path, RESULTS)
    before = files(tmp_path)
    app = opened(tmp_path)
    shown = detail(app)
    status, body = ask(app, path, method, json.dumps({"study_name": "x", "body": "x", "version": 2}).encode())
    assert (status, json.loads(body)["reason"]) == (403, application.REFUSED)
    app.answers.clear()
    again = detail(app)
    assert all(again[key] == shown[key] for key in ("name", "trials", "note")) and files(tmp_path) == before


def test_a_request_for_the_head_leaves_the_answer_whole(tmp_path: Path) -> None:
    app = opened(full(tmp_path).folder)
    app.answers.clear()
    for path in ("/api/meta", "/api/studies/0"):
        assert ask(app, path, "HEAD") == (200, b"")
        status, body = ask(app, path)
        assert status == 200 and json.loads(body)


def test_only_names_of_this_machine_are_answered(tmp_path: Path) -> None:
    app = opened(full(tmp_path).folder)
    for host in ("localhost:8080", "127.0.0.1", "[::1]:8080"):
        assert ask(app, "/api/meta", host=host)[0] == 200
    for host in ("evil.example:8080", "127.evil.example", "127.evil.example:8080", ""):
        status, body = ask(app, "/api/meta", host=host)
        assert (status, json.loads(body)["reason"]) == (403, application.OTHER_NAME), host
    app.local = False
    assert ask(app, "/api/meta", host="build.example:8080")[0] == 200


def test_artifacts_are_served_as_text(tmp_path: Path) -> None:
    keep(tmp_path, [*RESULTS, result(2, FAST)])
    (tmp_path / store.trial_folder(2) / "stderr.log").write_text(HOSTILE)
    app = opened(tmp_path)
    result_json, log = (one["artifact_id"] for one in detail(app)["trials"][2]["artifacts"])
    assert ask(app, f"/artifacts/0/2/{log}") == (200, HOSTILE.encode())
    assert json.loads(ask(app, f"/artifacts/0/2/{result_json}")[1])["status"] == "crashed"
    assert ask(app, f"/artifacts/0/1/{log}")[0] == 404
    assert ask(app, f"/artifacts/0/2/{'0' * 32}")[0] == 404


@pytest.mark.parametrize(
    "broken", [lambda storage, artifact_store: None, lambda storage: None, lambda storage, artifact_store: _teapot]
)
def test_another_version_is_named_with_the_one_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Any
) -> None:
    import optuna_dashboard

    keep(tmp_path, RESULTS)
    monkeypatch.setattr(optuna_dashboard, "wsgi", broken)
    with pytest.raises(AutotuneError, match=r"optuna-dashboard [0-9.]+ cannot show a study .*pip install") as caught:
        opened(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_version_without_what_is_used_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import optuna_dashboard

    keep(tmp_path, RESULTS)
    monkeypatch.delattr(optuna_dashboard, "save_plotly_graph_object")
    with pytest.raises(AutotuneError, match="cannot show a study"):
        opened(tmp_path)


def _teapot(environ: Any, start_response: Any) -> list[bytes]:
    start_response("418 I am a teapot", [])
    return [b"{}"]
