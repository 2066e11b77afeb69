from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Candidate
from autotune.core.space_types import Limit
from autotune.report.compare.groups import compare
from tests.report.folders import FAST, SPACE
from tests.report.made import PLAIN, confirmation, estimate, keep_latencies, keep_run, numbered, result, winner
from tests.report.tuned import RESULTS, study


def test_an_unconfirmed_study_has_the_searchs_own_figures(tmp_path: Path) -> None:
    one, two = study(tmp_path / "a", RESULTS), study(tmp_path / "b", RESULTS[:1], kind="toy.small")
    (group,) = compare([one, two]).groups
    fast, plain = group.rows
    assert (fast.study, fast.instance_type, fast.cpu_model, fast.cores) == ("a", "toy.large", "toy", 2)
    assert (fast.confirmed, fast.config, fast.trials) == (False, FAST, 2)
    assert fast.throughput is not None and fast.throughput.estimate == pytest.approx(40)
    assert fast.ratio is not None and fast.ratio.estimate == pytest.approx(4)
    assert (fast.latency_percentile, fast.latency_ms, fast.latency_calls) == ("p99", 40.0, 500)
    assert fast.peak_rss_bytes == 2**29
    assert "from the search alone: not confirmed" in fast.notes
    assert (plain.study, plain.config) == ("b", PLAIN)


def test_a_confirmed_study_has_the_confirmations_figures(tmp_path: Path) -> None:
    folder = "confirmation/f/0001/winner"
    keep_run(tmp_path / "a", "confirmation/f/0001", {"winner": Candidate(config=FAST, blocks=numbered((40,)))})
    keep_latencies(tmp_path / "a" / folder, [(0, 0, 25_000_000, 90)])
    one = study(tmp_path / "a", RESULTS, confirmation(winner(FAST, folders=(folder,))))
    (group,) = compare([one, study(tmp_path / "b", RESULTS)]).groups
    row = next(row for row in group.rows if row.study == "a")
    assert (row.confirmed, row.throughput, row.ratio) == (True, estimate(40.0, 0.8), estimate(4.0, 0.1))
    assert (row.latency_percentile, row.latency_ms, row.latency_calls) == ("p95", 25.0, 90)
    assert row.peak_rss_bytes == 123
    assert not any("not confirmed" in note for note in row.notes)


def test_a_confirmed_plain_model_is_no_gain(tmp_path: Path) -> None:
    found = confirmation(winner(PLAIN, trial=0, ratio=estimate(1.0)), gain=False)
    (group,) = compare([study(tmp_path / "a", RESULTS, found), study(tmp_path / "b", RESULTS)]).groups
    row = next(row for row in group.rows if row.study == "a")
    assert (row.confirmed, row.config) == (True, PLAIN)
    assert "no gain over the baseline is shown" in row.notes


def test_why_nothing_could_be_confirmed_is_said(tmp_path: Path) -> None:
    one = study(tmp_path / "a", RESULTS, confirmation(None, reason="the time was too short"))
    (group,) = compare([one, study(tmp_path / "b", RESULTS)]).groups
    assert "from the search alone: not confirmed: the time was too short" in group.rows[0].notes


def test_the_runs_so_far_come_before_the_search(tmp_path: Path) -> None:
    so_far = winner(FAST, trial=1, ratio=estimate(3.0, 1.0), throughput=estimate(30.0, 9.0), runs=2)
    found = confirmation(so_far, confirmed=False, gain=False, reason="the time was too short")
    (group,) = compare([study(tmp_path / "a", RESULTS, found), study(tmp_path / "b", RESULTS)]).groups
    row = next(row for row in group.rows if row.study == "a")
    assert (row.confirmed, row.throughput, row.ratio) == (False, estimate(30.0, 9.0), estimate(3.0, 1.0))
    assert row.metrics["throughput"] == 30.0
    assert "from 2 interleaved runs: not confirmed: the time was too short" in row.notes


def test_a_study_that_has_nothing_yet_says_so(tmp_path: Path) -> None:
    """One that is being written has trials without a result."""
    (tmp_path / "empty" / "trials" / "00000").mkdir(parents=True)
    empty = study(tmp_path / "empty", [])
    failed = study(tmp_path / "failed", [result(0), result(1, FAST)])
    beyond = [msgspec.structs.replace(one, feasible=False) for one in RESULTS]
    limits = (Limit(metric="throughput", min=100.0),)
    none = study(tmp_path / "none", beyond, space=msgspec.structs.replace(SPACE, constraints=limits))
    found = compare([empty, failed, none])
    notes = {row.study: row.notes for group in found.groups for row in group.rows}
    assert [notes[name][-1] for name in ("empty", "failed", "none")] == [
        "nothing is measured yet",
        "nothing is measured yet",
        "no configuration keeps the limits",
    ]
    assert all(row.config is None and row.throughput is None for group in found.groups for row in group.rows)
    assert all(not group.crossings and group.front is None for group in found.groups)


def test_without_a_baseline_there_is_no_ratio(tmp_path: Path) -> None:
    one = study(tmp_path / "a", [result(0), RESULTS[1]])
    (group,) = compare([one, study(tmp_path / "b", RESULTS)]).groups
    row = next(row for row in group.rows if row.study == "a")
    assert row.ratio is None and row.throughput is not None
    assert "no baseline was measured" in row.notes


def test_a_study_of_an_earlier_version_is_completed(tmp_path: Path) -> None:
    """Its settings lack the knobs that there are today, and its results the percentiles."""
    old = msgspec.structs.replace(FAST, knobs={"layout": "1x2", "allocator": "system"})
    one = study(tmp_path / "a", RESULTS[:1], confirmation(winner(old)))
    two = study(tmp_path / "b", [RESULTS[0], msgspec.structs.replace(RESULTS[1], latency=None)])
    (group,) = compare([one, two]).groups
    assert {row.config for row in group.rows} == {FAST}
    assert {one.remark for one in group.crossings} == {"the best there, too"}
