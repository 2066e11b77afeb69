from __future__ import annotations

from pathlib import Path

import pytest

from autotune.report.page import trials_table
from tests.report.folders import FAST, keep
from tests.report.made import config, result


def test_the_best_trial_is_first_and_those_that_failed_are_last(tmp_path: Path) -> None:
    other = result(3, config(batch_size=8), rates=(30,))
    trials = [result(0, rates=(10,)), result(1), result(2, FAST, rates=(40,)), other]
    rows = trials_table.rows(keep(tmp_path, trials))
    assert [row["trial"] for row in rows] == [2, 3, 0, 1]
    assert str(rows[2]["configuration"]).endswith(" (baseline)")


def test_a_column_that_is_the_same_in_all_trials_is_left_out(tmp_path: Path) -> None:
    same = [result(0, rates=(10,)), result(1, rates=(20,))]
    columns = trials_table.columns(trials_table.rows(keep(tmp_path / "same", same)))
    assert {"trial", "status", "throughput", "configuration"} <= set(columns)
    assert "batch_size" not in columns and "backend" not in columns
    other = trials_table.columns(trials_table.rows(keep(tmp_path / "other", [*same, result(2, FAST, rates=(40,))])))
    assert {"batch_size", "backend"} <= set(other)


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("error", {}, ""),
        ("status", {"status": "ok", "feasible": True}, "ok"),
        ("status", {"status": "ok", "feasible": False}, "beyond a limit"),
        ("status", {"status": "out_of_memory", "feasible": True}, "out of memory"),
        ("peak_rss_bytes", {"peak_rss_bytes": 301 * 2**20}, "301"),
        ("throughput", {"throughput": 12.3456}, "12.35"),
        ("throughput", {"throughput": 12345.6}, "12346"),
        ("allocator", {"allocator": "tcmalloc"}, "tcmalloc"),
    ],
)
def test_a_cell_is_short_and_in_words(name: str, row: dict[str, object], text: str) -> None:
    assert trials_table.cell(name, row) == text


def test_a_heading_has_the_unit_of_its_cells() -> None:
    assert (trials_table.heading("peak_rss_bytes"), trials_table.heading("trial")) == ("peak_rss MiB", "trial")


def test_only_what_fits_is_printed() -> None:
    rows = [{"throughput": 1.0, "allocator": "system"}]
    assert trials_table.css_classes("throughput", rows) == "number"
    assert trials_table.css_classes("allocator", rows) == "detail"
