from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from autotune.report import table
from autotune.results import Fidelity, Status, TrialResult
from tests.report.made import PLAIN, config, keep_latencies, result

FAST = config("onnxruntime", 8)
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
    console.print(table.trials(folder, results, PLAIN))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_the_fastest_is_first_and_the_baseline_marked(tmp_path: Path) -> None:
    slow = result(2, config(batch_size=4), rates=(5,), status=Status.REJECTED)
    lines = printed(tmp_path, [result(0, rates=(10, 10)), result(1, FAST, rates=(40, 40)), slow])
    assert [re.split(r"  +", line.strip()) for line in lines] == [
        ["trial", "rate", "vs baseline", "p50 ms", "memory", "set-up", "configuration"],
        ["1", "40.0/s ±0.0 %", "4.00x", "onnxruntime float32, batch 8, 1x2"],
        ["0", "10.0/s ±0.0 %", "1.00x", "torch_eager contiguous float32, batch 1, 1x2 (baseline)"],
        ["2", "5.00/s (slow)", "0.50x", "torch_eager contiguous float32, batch 4, 1x2"],
    ]


def test_a_row_has_latency_memory_and_set_up(tmp_path: Path) -> None:
    found = result(0, rates=(10, 10), peak_rss_bytes=300 * 2**20, setup_s=3.84)
    keep_latencies(tmp_path, found, [(0, 0, 2_500_000, 1)])
    assert printed(tmp_path, [found])[1].split()[4:10] == ["1.00x", "2.5", "300", "MiB", "3.8", "s"]


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


def test_a_study_without_trials_has_the_header_alone(tmp_path: Path) -> None:
    assert len(printed(tmp_path, [])) == 1


def test_what_was_cut_short_is_not_counted() -> None:
    kept = [result(0, rates=(10,)), result(2), result(3, FAST, rates=(1,), status=Status.REJECTED)]
    assert table.counted([*kept, result(1, status=Status.INTERRUPTED)]) == kept


# ------------------------------------------------------------------------------------------------------------ summary


def test_the_summary_has_the_winner_its_gain_and_what_they_are_worth() -> None:
    base, fast = result(0, rates=(10, 10.1, 9.9)), result(1, FAST, rates=(40, 40.4, 39.6))
    slow, failed = result(2, config(batch_size=4), rates=(5,), status=Status.REJECTED), result(3, LONG)
    lines = table.summary([base, fast, slow, failed], PLAIN)
    assert lines[0] == "best      onnxruntime float32, batch 8, 1x2"
    assert re.fullmatch(r"rate      40\.0/s ±1\.7 %", lines[1])
    gain = re.fullmatch(
        r"speed-up  4\.00x \((\d\.\d\d) to (\d\.\d\d)\) over the plain model's 10\.0/s ±1\.7 %", lines[2]
    )
    assert gain and 3.8 < float(gain[1]) < 4 < float(gain[2]) < 4.2
    assert lines[3:] == [
        "          from the search's own windows, not confirmed by a second measurement",
        "answers   not compared",
        "trials    4: 1 given up as clearly slower, 1 failed",
    ]


def test_one_block_has_no_interval() -> None:
    lines = table.summary([result(0, rates=(10,)), result(1, FAST, rates=(40,))], PLAIN)
    assert lines[1:3] == ["rate      40.0/s", "speed-up  4.00x over the plain model's 10.0/s"]


def test_without_a_baseline_no_speedup_is_claimed() -> None:
    lines = table.summary([result(0), result(1, FAST, rates=(40, 40))], PLAIN)
    assert lines[0].startswith("best") and not any("speed-up" in line for line in lines)


@pytest.mark.parametrize("results", [[], [result(0)], [result(0, rates=(9,), status=Status.REJECTED)]])
def test_without_a_measurement_the_summary_says_so(results: list[TrialResult]) -> None:
    assert table.summary(results, PLAIN) == ["No configuration has been measured."]


def test_what_is_infeasible_does_not_win() -> None:
    fast = result(1, FAST, rates=(40, 40), feasible=False)
    assert table.summary([result(0, rates=(10, 10)), fast], PLAIN)[0].startswith("best      torch_eager")


def close(**fields: object) -> Fidelity:
    known = {"judged": True, "samples": 8, "cosine_similarity": 0.999876, "centred_error": 0.0123, "max_abs_error": 0.1}
    return Fidelity(**known | fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (None, "answers   not compared"),
        (close(judged=False), "answers   unjudged: with random weights outputs hardly depend on the input"),
        (
            close(),
            "answers   cosine similarity 0.99988 to the float32 model, error 0.012 of the variation between inputs",
        ),
        (close(centred_error=None), "answers   cosine similarity 0.99988 to the float32 model"),
    ],
)
def test_answers(found: Fidelity | None, line: str) -> None:
    assert table.fidelity(result(0, rates=(1,), fidelity=found)) == line


# ------------------------------------------------------------------------------------------------------------ latency


def test_the_median_is_over_the_measured_calls_of_all_workers(tmp_path: Path) -> None:
    warm = result(9, rates=(1, 1)).blocks
    found = result(0, rates=(10, 10), warmup=warm)
    warmup = [(0, 0, 90_000_000, 50), (1, 1, 80_000_000, 50)]
    keep_latencies(tmp_path, found, [*warmup, (0, 2, 3_000_000, 1), (1, 2, 1_000_000, 1), (1, 3, 2_000_000, 1)])
    assert table.median_latency_ms(tmp_path, found) == 2.0


def test_a_row_counts_as_often_as_it_says(tmp_path: Path) -> None:
    found = result(0, rates=(10,))
    keep_latencies(tmp_path, found, [(0, 0, 1_000_000, 1), (0, 0, 2_000_000, 1), (0, 0, 7_000_000, 100)])
    assert table.median_latency_ms(tmp_path, found) == 7.0


def test_there_may_be_no_latencies(tmp_path: Path) -> None:
    found = result(0, rates=(10,), warmup=result(9, rates=(1,)).blocks)
    assert table.median_latency_ms(tmp_path, found) is None
    keep_latencies(tmp_path, found, [(0, 0, 1_000_000, 1)])
    assert table.median_latency_ms(tmp_path, found) is None
    assert table.median_latency_ms(tmp_path, result(0)) is None
