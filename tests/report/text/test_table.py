from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.cells import cell_len
from rich.console import Console

from autotune.core.results import Latency, Status, TrialResult
from autotune.report.text import table
from tests.report.folders import FAST
from tests.report.made import HW, config, keep_latencies, result
from tests.study.fakes import resolved

LONG = config(
    "torch_compile",
    128,
    {"memory_format": "channels_last", "precision": "bfloat16", "freezing": True},
    allocator="tcmalloc",
    huge_pages=True,
    layout="112x1",
)


def printed(folder: Path, results: Sequence[TrialResult], width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), force_terminal=False, width=width)
    console.print(table.trials(folder, results, resolved(HW)))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_fastest_is_first_and_the_baseline_marked(tmp_path: Path) -> None:
    slow = result(2, config(batch_size=4), rates=(5,), status=Status.REJECTED)
    lines = printed(tmp_path, [result(0, rates=(10, 10)), result(1, FAST, rates=(40, 40)), slow])
    assert [re.split(r"  +", line.strip()) for line in lines] == [
        ["trial", "rate", "vs baseline", "latency", "memory", "set-up", "configuration"],
        ["1", "40.0/s ±0.0 %", "4.00x", "onnxruntime float32, batch 8, 1x2"],
        ["0", "10.0/s ±0.0 %", "1.00x", "torch_eager contiguous float32, batch 1, 1x2 (baseline)"],
        ["2", "5.00/s (slow)", "0.50x", "torch_eager contiguous float32, batch 4, 1x2"],
    ]


def test_a_row_has_latency_memory_and_set_up(tmp_path: Path) -> None:
    found = result(0, rates=(10, 10), peak_rss_bytes=300 * 2**20, setup_s=3.84)
    keep_latencies(tmp_path / found.spec.folder, [(0, 0, 2_500_000, 50)])
    row = printed(tmp_path, [found])[1].split()
    assert row[4:12] == ["1.00x", "p90", "2.50", "ms", "300", "MiB", "3.8", "s"]
    keep_latencies(tmp_path / found.spec.folder, [(0, 0, 2_500_000, 6)])
    assert "p50" not in printed(tmp_path, [found])[1]


def test_failures_follow_with_their_reasons(tmp_path: Path) -> None:
    killed = result(3, FAST, status=Status.OUT_OF_MEMORY, error="the workers use 30.0 GiB; allowed are 20.0 GiB")
    lines = printed(tmp_path, [result(0, rates=(10,)), killed, result(4, FAST)], width=200)
    assert lines[-4:] == [
        "",
        "2 failed:",
        "    3  onnxruntime float32, batch 8, 1x2: out of memory: the workers use 30.0 GiB; allowed are 20.0 GiB",
        "    4  onnxruntime float32, batch 8, 1x2: crashed: it broke",
    ]


def test_a_long_configuration_wraps_and_no_figure_is_cut(tmp_path: Path) -> None:
    found = result(12345, LONG, rates=(12345, 15000), peak_rss_bytes=2**40, setup_s=123.4)
    lines = printed(tmp_path, [result(0, rates=(10, 10)), found])
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    assert "123.4 s torch_compile channels_last bfloat16 freezing, batch 128, 112x1, tcmalloc, huge_pages" in text
    assert max(map(len, lines)) <= 140


def test_the_percentile_is_what_the_result_says(tmp_path: Path) -> None:
    """No file is read for it."""
    calls = Latency(calls=100, p50_ms=2.0, p90_ms=3.0, p95_ms=4.0, p99_ms=5.0, backed="p95")
    assert "p95 4.00 ms" in printed(tmp_path, [result(0, rates=(10, 10), latency=calls)])[1]
    few = msgspec.structs.replace(calls, calls=3, backed=None)
    assert " ms" not in printed(tmp_path, [result(0, rates=(10, 10), latency=few)])[1]


def test_letters_that_take_two_columns_are_not_cut(tmp_path: Path) -> None:
    wide = config("onnxruntime", 8, interpreter="環境" * 30)
    lines = printed(tmp_path, [result(0, rates=(10, 10)), result(1, wide, rates=(40, 40))])
    assert "".join("".join(lines).split()).count("環境") == 30
    assert max(map(cell_len, lines)) <= 140


def test_a_study_without_trials_has_the_header_alone(tmp_path: Path) -> None:
    assert len(printed(tmp_path, [])) == 1


def test_what_was_cut_short_is_not_counted() -> None:
    kept = [result(0, rates=(10,)), result(2), result(3, FAST, rates=(1,), status=Status.REJECTED)]
    assert table.counted([*kept, result(1, status=Status.INTERRUPTED)]) == kept


def test_trials_of_other_versions_are_marked(tmp_path: Path) -> None:
    results = [
        msgspec.structs.replace(result(0, rates=(10, 10)), versions={"torch": "2.4"}),
        msgspec.structs.replace(result(1, FAST, rates=(40, 40)), versions={"torch": "2.5"}),
    ]
    head, first, second = (re.split(r"  +", line.strip()) for line in printed(tmp_path, results))
    assert head[-2:] == ["versions", "configuration"]
    assert "torch 2.4" in second and "torch 2.5" not in first
    assert "versions" not in printed(tmp_path, results[:1])[0]
