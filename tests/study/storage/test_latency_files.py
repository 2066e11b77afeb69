from __future__ import annotations

from pathlib import Path

import msgspec

from autotune.core.results import Candidate, Status
from autotune.study.storage import latency_files
from tests.report.made import PLAIN, config, keep_latencies, keep_run, numbered, result

# ------------------------------------------------------------------------------------------------- what is counted


def test_only_the_measured_blocks_of_all_workers_count(tmp_path: Path) -> None:
    """Blocks 0 and 1 were warm-up, and 3 was measured again as 4."""
    first, second, again = numbered((10, 10, 10), first=2)
    found = result(0, blocks=(first, again), repeated=(second,), warmup=numbered((1, 1)), status=Status.OK, error=None)
    rows = [(0, 0, 90_000_000, 50), (1, 1, 80_000_000, 50), (0, 3, 70_000_000, 50)]
    rows += [(0, 2, 3_000_000, 4), (1, 2, 1_000_000, 5), (1, 4, 2_000_000, 3)]
    keep_latencies(tmp_path / found.spec.folder, rows)
    seen = latency_files.of_trial(tmp_path, found)
    assert seen is not None
    assert (seen.calls, seen.backed_ms("p50")) == (12, 2.0)


def test_what_a_result_says_of_its_calls_is_believed_and_else_read_again(tmp_path: Path) -> None:
    found = result(0, rates=(10,))
    keep_latencies(tmp_path / found.spec.folder, [(0, 0, 2_000_000, 50)])
    seen = latency_files.summary(tmp_path, found)
    assert seen is not None and (seen.calls, seen.p50_ms, seen.backed) == (50, 2.0, "p90")
    assert latency_files.summary(tmp_path / "nowhere", msgspec.structs.replace(found, latency=seen)) is seen
    assert latency_files.summary(tmp_path / "nowhere", found) is None


def test_there_may_be_no_latencies(tmp_path: Path) -> None:
    found = result(0, blocks=numbered((10,), first=1), status=Status.OK, error=None)
    assert latency_files.of_trial(tmp_path, found) is None
    keep_latencies(tmp_path / found.spec.folder, [(0, 0, 1_000_000, 100)])
    assert latency_files.of_trial(tmp_path, found) is None
    keep_latencies(tmp_path / found.spec.folder, [])
    assert latency_files.of_trial(tmp_path, found) is None
    assert latency_files.of_trial(tmp_path, result(1)) is None


def test_a_confirmations_calls_are_those_of_its_runs(tmp_path: Path) -> None:
    fast = Candidate(config=config("onnxruntime"), blocks=numbered((10, 10), first=1), warmup=numbered((10,)))
    base = Candidate(config=PLAIN, blocks=numbered((10,), first=1))
    for number in (1, 2):
        keep_run(tmp_path, f"{number}", {"winner": fast, "baseline": base})
        rows = [(0, 0, 90_000_000, 99), (0, 1, number * 1_000_000, 20), (0, 2, number * 1_000_000, 5)]
        keep_latencies(tmp_path / f"{number}" / "winner", rows)
        keep_latencies(tmp_path / f"{number}" / "baseline", [(0, 1, 50_000_000, 7)])
    both = latency_files.read([tmp_path / "1" / "winner", tmp_path / "2" / "winner"])
    assert both is not None
    assert (both.calls, both.backed_ms("p50"), both.backed_ms("p90")) == (50, 1.0, 2.0)
    one = latency_files.read([tmp_path / "2" / "winner", tmp_path / "3" / "winner"])
    assert one is not None and (one.calls, one.backed_ms("p50")) == (25, 2.0)
    assert latency_files.read([tmp_path / "3" / "winner"]) is latency_files.read([]) is None


def test_a_candidate_that_crashed_left_no_latencies(tmp_path: Path) -> None:
    keep_run(tmp_path, "1", {"winner": Candidate(config=PLAIN, blocks=numbered((10,)), error="a crash")})
    assert latency_files.read([tmp_path / "1" / "winner"]) is None
