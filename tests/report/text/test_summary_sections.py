from __future__ import annotations

from pathlib import Path

from autotune.report.text import summary, summary_sections
from tests.report.folders import full


def test_a_summary_in_its_parts(tmp_path: Path) -> None:
    study = full(tmp_path)
    head, tables = summary_sections.parts(summary.summary(study))
    assert head[0] == ("best", "onnxruntime float32, batch 8, 1x2")
    assert dict(head)["speed-up"].startswith("4.00x (3.90 to 4.10) over the baseline, confirmed in 6 interleaved runs")
    assert [table.title.partition(":")[0].partition(", in runs")[0] for table in tables] == [
        "finalists, against the baseline",
        "what each setting is worth",
        "the way from the baseline to the winner",
    ]
    assert tables[0].rows[0] == ("2.00x (1.90 to 2.10)", "onnxruntime float32, batch 8, 1x2: the fastest")
    assert tables[2].rows == (
        ("2.00x (1.90 to 2.10)", "+ backend onnxruntime"),
        ("4.00x (3.90 to 4.10)", "+ batch_size 8"),
    )


def test_lines_without_a_label_or_a_figure() -> None:
    wide = "1234.00x (1000.00 to 1500.00)"
    lines = ["No configuration has been measured.", "trials    0: none", "", "a table"]
    lines += [f"  {wide} of this", f"  {wide} * of it", "", "b"]
    head, tables = summary_sections.parts([*lines, f"  {'':24} of that", f"  {'not measured':24} it"])
    assert head == [("", "No configuration has been measured."), ("trials", "0: none")]
    assert tables == [
        summary_sections.Table("a table", ((wide, "of this"), (f"{wide} *", "of it"))),
        summary_sections.Table("b", (("", "of that"), ("not measured", "it"))),
    ]
    assert summary_sections.parts([]) == ([], [])
    assert summary_sections.parts(["          goes on"]) == ([("", "goes on")], [])
