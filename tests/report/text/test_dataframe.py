from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Latency, Status
from autotune.core.space_types import Price
from autotune.report.text import dataframe
from tests.report.folders import FAST, SPACE, keep
from tests.report.made import CLOSE, config, confirmation, keep_latencies, result, winner

CALLS = Latency(calls=50, p50_ms=2.0, p90_ms=3.0, p95_ms=4.0, p99_ms=9.0, backed="p90")
INT8 = config("openvino", 4, {"precision": "int8"}, allocator="tcmalloc")
RESULTS = (
    result(0, rates=(10, 10.1, 9.9), started="2026-01-01T00:00:00+00:00", wall_s=4.0),
    result(1, FAST, rates=(40, 40.4, 39.6), latency=CALLS, peak_rss_bytes=123, setup_s=1.5, fidelity=CLOSE),
    result(2, INT8, rates=(60, 60), feasible=False),
    result(3, INT8),
    result(4, config(batch_size=4), rates=(5,), status=Status.REJECTED),
)


def test_a_trial_is_a_row_with_its_settings_and_figures_by_their_names(tmp_path: Path) -> None:
    found = dataframe.frame(keep(tmp_path, RESULTS)).set_index("trial")
    fast = found.loc[1]
    assert (fast.status, fast.feasible, fast["rank"], fast.front) == ("ok", True, 1, True)
    assert (fast.batch_size, fast.layout, fast.backend, fast.allocator) == (8, "1x2", "onnxruntime", "system")
    assert fast.throughput < 40 and fast.throughput_low < 36 and fast.throughput_high > 45
    assert fast.speedup_low < 3.5 < fast.speedup < 4.5 < fast.speedup_high
    assert (fast.latency_p50_ms, fast.latency_p90_ms, fast.latency_calls) == (2.0, 3.0, 50)
    assert (fast.peak_rss_bytes, fast.setup_s, fast.cosine_similarity) == (123, 1.5, CLOSE.cosine_similarity)
    assert fast.folder == "trials/00001"
    assert found.loc[0].baseline and not found.baseline.drop(0).any()
    assert (found.loc[0].started, found.loc[0].wall_s, found.loc[0]["rank"]) == ("2026-01-01T00:00:00+00:00", 4.0, 2)


def test_what_a_trial_does_not_have_is_empty(tmp_path: Path) -> None:
    found = dataframe.frame(keep(tmp_path, RESULTS)).set_index("trial")
    assert found["openvino.precision"].notna().tolist() == [False, False, True, True, False]
    assert "latency_p95_ms" not in found and found.latency_p90_ms.notna().tolist() == [False, True, False, False, False]
    assert found.loc[3, ["throughput", "speedup", "rank"]].isna().all()
    assert (found.loc[3].error, found.loc[3].status) == ("it broke", "crashed")
    assert found.loc[4, ["throughput_low", "rank"]].isna().all() and found.loc[4].throughput == pytest.approx(5.0)
    assert found.feasible.tolist() == [True, True, False, False, False]


def test_a_row_says_where_its_figures_are_from(tmp_path: Path) -> None:
    found = dataframe.frame(keep(tmp_path / "a", RESULTS)).set_index("trial")
    assert found.evidence.fillna("").tolist() == ["window", "search", "window", "", "window"]
    assert (found.throughput[2], found.speedup[2]) == (pytest.approx(60.0), pytest.approx(6.0))
    so_far = confirmation(winner(FAST, trial=1), confirmed=False, gain=False, reason="no time")
    for name, level in ((so_far, "interleaved"), (confirmation(winner(FAST, trial=1)), "confirmed")):
        fast = dataframe.frame(keep(tmp_path / level, RESULTS, name)).set_index("trial").loc[1]
        assert (fast.evidence, fast.throughput, fast.speedup, fast.speedup_low) == (level, 40.0, 4.0, 3.9)


def test_a_front_has_several(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, objective=("throughput", "peak_rss_bytes"), price=Price(per_hour=0.36))
    results = [msgspec.structs.replace(RESULTS[i], peak_rss_bytes=size) for i, size in ((0, 100), (1, 200), (4, 300))]
    found = dataframe.frame(keep(tmp_path, results, space=space)).set_index("trial")
    assert found.front.tolist() == [True, True, False]
    assert sorted(found["rank"].dropna()) == [1, 2]
    assert found.cost_per_million[1] == pytest.approx(2.5, rel=1e-3)


def test_results_of_an_earlier_version_have_their_latencies_beside_them(tmp_path: Path) -> None:
    study = keep(tmp_path, [result(0, rates=(10, 10))])
    keep_latencies(tmp_path / "trials/00000", [(0, 0, 2_500_000, 50)])
    assert dataframe.frame(study).latency_p90_ms.tolist() == [2.5]


def test_a_study_without_trials_has_no_rows(tmp_path: Path) -> None:
    found = dataframe.frame(keep(tmp_path, []))
    assert len(found) == 0 and {"trial", "status", "throughput"} <= set(found)
