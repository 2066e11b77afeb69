from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from autotune.core.errors import StudyError
from autotune.report import report_formats
from tests.report.folders import HOSTILE, full, keep


@pytest.mark.parametrize("form", report_formats.FORMATS)
def test_every_format_of_a_study_with_hostile_text_and_of_one_without_trials(form: str, tmp_path: Path) -> None:
    for number, study in enumerate((full(tmp_path), keep(tmp_path / "empty", []))):
        path = tmp_path / f"{number}.txt"
        report_formats.write(study, form, path)
        assert path.read_text()


def test_csv_has_a_line_a_trial(tmp_path: Path) -> None:
    study = full(tmp_path)
    found = list(csv.DictReader(io.StringIO(report_formats.csv(study))))
    assert len(found) == len(study.results)
    assert (found[0]["trial"], found[0]["status"], found[0]["batch_size"]) == ("0", "ok", "1")
    assert found[-1]["error"] == HOSTILE


def test_json_has_everything(tmp_path: Path) -> None:
    study = full(tmp_path)
    found = json.loads(report_formats.json(study))
    assert (found["format"], found["study"], found["objective"]) == (1, study.name, ["throughput"])
    assert found["confirmation"]["winner"]["trial"] == 7
    assert [row["trial"] for row in found["trials"]] == [one.spec.id for one in study.results]
    assert found["trials"][-1]["error"] == HOSTILE


def test_markdown_shows_text_as_it_is(tmp_path: Path) -> None:
    study = full(tmp_path)
    page = report_formats.markdown(study)
    tokens = MarkdownIt("commonmark").enable("table").parse(page)
    inner = [child for token in tokens for child in token.children or ()]
    assert {token.type for token in inner} <= {"text", "strong_open", "strong_close", "text_special", "softbreak"}
    titles = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    assert titles[-2:] == ["All trials", "Failures"]
    cells = {token.type for token in tokens}
    assert {"table_open", "td_open"} <= cells and not {"html_block", "fence", "code_block"} & cells
    rows = page[page.index("## All trials") :].splitlines()
    assert {line.replace("\\|", "").count("|") for line in rows[4:6]} == {6}


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    study = keep(tmp_path / "toy", [])
    for path in (tmp_path / "missing" / "report.html", tmp_path / "toy" / "trials-of" / "x"):
        with pytest.raises(StudyError, match=r"cannot be written: No such file or directory; choose another with -o"):
            report_formats.write(study, "json", path)
    with pytest.raises(StudyError, match=r"cannot be written: Is a directory"):
        report_formats.write(study, "json", tmp_path / "toy")
