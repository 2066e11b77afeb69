from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Finalist
from autotune.core.results import Latency, Status
from autotune.core.space_types import Limit
from autotune.report.dashboard import notes
from autotune.report.text.study_reader import Study
from tests.report.folders import FAST, HOSTILE, SPACE, full, keep
from tests.report.made import PLAIN, config, confirmation, result, winner
from tests.report.text.test_markdown import rendered

TIMES = Latency(calls=100, p50_ms=5.0, p90_ms=6.0, p95_ms=7.0, p99_ms=9.0, backed="p90")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    space = msgspec.structs.replace(SPACE, constraints=(Limit(metric="latency_p90_ms", max=4.0),))
    results = [
        result(0, PLAIN, (10, 10.1, 9.9)),
        result(1, FAST, (40, 40.4, 39.6), latency=TIMES, feasible=False, peak_rss_bytes=2**30, flags=("a <b>flag",)),
        result(2, FAST, (3, 3.1), status=Status.REJECTED),
        result(3, FAST, error=HOSTILE, status=Status.WRONG_OUTPUT),
        result(4, FAST, error="Ctrl-C", status=Status.INTERRUPTED),
    ]
    return keep(tmp_path / "a study", results, space=space)


def test_a_measured_trial_has_its_figures_with_their_intervals(study: Study) -> None:
    note = rendered(notes.trial(study, study.results[1], {"result.json": "/artifacts/0/1/abc"}))
    assert "<strong>onnxruntime float32, batch 8, 1x2</strong>" in note
    assert "40.0/s ±" in note and "4.00x (" in note and "90 % intervals over 3 blocks" in note
    assert "<td>latency_p90_ms</td>" in note and "<td>6.00 ms</td>" in note
    assert "latency_p99_ms" not in note, "too few calls back it"
    assert "<td>1.0 GiB</td>" in note
    assert "latency_p90_ms is 6, allowed at most 4" in note
    assert "a &lt;b&gt;flag" in note
    assert '<a href="/artifacts/0/1/abc">result.json</a>' in note
    assert str(study.folder / "trials/00001") in note


def test_a_limit_that_was_broken_when_it_was_confirmed_is_named(study: Study) -> None:
    broken = Finalist(trial=1, config=FAST, ratio=None, broken="setup_s is 9, allowed at most 5")
    again = dataclasses.replace(study, confirmation=confirmation(None, reason="so", finalists=(broken,)))
    said = "<strong>setup_s is 9, allowed at most 5 (when it was confirmed)</strong>"
    assert said in rendered(notes.trial(again, study.results[1], {}))
    assert "when it was confirmed" not in rendered(notes.trial(again, study.results[0], {}))


def test_the_winner_has_the_figure_that_holds(study: Study) -> None:
    claimed = dataclasses.replace(study, confirmation=confirmation(winner(FAST, trial=1)))
    said = rendered(notes.trial(claimed, study.results[1], {}))
    assert "the winner: 40.0/s ±2.0 %, 4.00x (3.90 to 4.10) over the baseline, confirmed in 6 interleaved runs" in said
    assert "from one window, 90 % intervals over" in rendered(notes.trial(claimed, study.results[0], {}))
    assert "from the search alone: not confirmed" in rendered(notes.trial(study, study.results[0], {}))


def test_it_says_how_the_trial_was_started(study: Study) -> None:
    note = notes.trial(study, study.results[0], {})
    assert "Started as 1 x 2 (processes x threads) on CPUs 0-1:" in note.replace("\\", "")
    assert "\nOMP_NUM_THREADS=2\n" in note
    assert "(the baseline)" in note


def test_long_variables_are_broken_where_they_may_be(study: Study) -> None:
    path = "/opt/" + "folder/" * 20 + "libtcmalloc.so"
    hw = msgspec.structs.replace(study.hardware, libraries={"tcmalloc": path})
    started = result(1, config(allocator="tcmalloc"), (40, 40))
    note = notes.trial(dataclasses.replace(study, hardware=hw), started, {})
    lines = note.split("```")[1].splitlines()
    assert max(map(len, lines)) <= 94
    assert f"LD_PRELOAD={path}" in note.replace("\n    ", "").splitlines()
    assert "    folder/folder/" in note


def test_the_reason_of_what_has_no_rate(study: Study) -> None:
    assert "given up as clearly slower" in rendered(notes.trial(study, study.results[2], {}))
    failed = rendered(notes.trial(study, study.results[3], {}))
    assert "wrong output: " in failed
    assert "<script" not in failed and "<img" not in failed
    interrupted = result(4, FAST, error="Ctrl-C", status=Status.INTERRUPTED)
    assert "interrupted: Ctrl-C (measured again as a trial of its own)" in rendered(notes.trial(study, interrupted, {}))


def test_the_study_has_the_end_of_the_run_and_what_could_not_be_read(tmp_path: Path) -> None:
    note = rendered(notes.overview(full(tmp_path), [f"bad {HOSTILE}"]))
    assert "speed-up  4.00x (3.90 to 4.10) over the baseline" in note
    assert "finalists, against the baseline" in note and "the way from the baseline to the winner" in note
    assert "<strong>bad &lt;script&gt;" in note and "<script" not in note and "<img" not in note


def test_long_lines_are_broken(tmp_path: Path) -> None:
    finalists = (Finalist(trial=1, config=FAST, ratio=None, error="it broke " * 50),)
    found = keep(tmp_path, [result(0, PLAIN, (10,))], confirmation(winner(FAST), finalists=finalists))
    assert max(map(len, notes.overview(found, []).splitlines())) <= notes.WIDTH


def test_a_study_of_nothing_has_a_note(tmp_path: Path) -> None:
    assert "No configuration has been measured." in notes.overview(keep(tmp_path, []), [])
