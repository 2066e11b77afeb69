"""The study that is kept as an example is one that today's code reads."""

from __future__ import annotations

import re
from pathlib import Path

from autotune.report import report_formats
from autotune.report.text import study_reader, summary

FOLDER = Path(__file__).parents[1] / "studies" / "example"


def test_it_is_read_and_reported() -> None:
    study = study_reader.read(FOLDER)
    assert study.confirmation is not None and study.confirmation.confirmed and study.baseline is not None
    assert summary.summary(study)[0].startswith("best ")
    assert all(report_formats.FORMATS[form](study) for form in report_formats.FORMATS)


def test_its_report_is_the_one_of_today() -> None:
    kept = (FOLDER / "report.html").read_text(encoding="utf-8")
    today = report_formats.FORMATS["html"](study_reader.read(FOLDER))
    # plotly.js follows its own versions; the nonce is another one each time.
    assert titles(kept) == titles(today) and trials(kept) == trials(today)


def test_it_tells_nothing_of_where_it_was_made() -> None:
    for path in FOLDER.rglob("*"):
        assert path.is_dir() or not re.search(rb"/(?:work|root|tmp)/", path.read_bytes()), path


def titles(page: str) -> list[str]:
    return re.findall("<h[12]>(.*?)</h[12]>", page)


def trials(page: str) -> str:
    return page[page.index('id="trials"') : page.index("</table>", page.index('id="trials"'))]
