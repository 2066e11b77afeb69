from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from autotune.core.results import Status
from autotune.report.page import html
from tests.report.folders import FAST, HOSTILE, SPACE, full, keep, many
from tests.report.made import result


class Page(HTMLParser):
    """The contents of a page: its tags with their attributes, its titles and the cells of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.titles: list[str] = []
        self.cells: list[str] = []
        self.open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.open = ""

    def handle_data(self, data: str) -> None:
        if self.open in ("td", "th"):
            self.cells[-1] += data
        if self.open == "h2":
            self.titles.append(data)


def test_a_page_has_all_its_parts(tmp_path: Path) -> None:
    page = Page(html.page(full(tmp_path)))
    assert page.titles == [
        "Finalists, against the baseline",
        "What each setting is worth",
        "The way from the baseline to the winner",
        "Rates over the study",
        "Settings and rate",
        "Batch size and layout",
        "Importances",
        "Latency",
        "The machine over the study",
        "Failures",
        "All trials",
        "Machine and versions",
        "Left out",
        "Run it again",
    ]
    drawn = [attributes["data-plot"] for _, attributes in page.tags if "data-plot" in attributes]
    kept = [attributes["data-figure"] for _, attributes in page.tags if "data-figure" in attributes]
    assert sorted(drawn) == sorted(kept)
    assert {"ablation", "parallel", "importances", "latencies", "drift"} <= set(drawn)


def test_nothing_in_a_study_is_markup(tmp_path: Path) -> None:
    text = html.page(full(tmp_path))
    page = Page(text)
    assert HOSTILE in page.cells
    assert not {"img", "b", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [one for one in scripts if one.get("type") is None and one.get("nonce") is None] == []


def test_a_page_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = html.page(full(tmp_path))
    page = Page(text)
    assert not [attributes for _, attributes in page.tags if {"src", "href"} & set(attributes)]
    assert "default-src 'none'" in text
    nonces = {re.search(r"nonce-([\w-]+)", html.page(keep(tmp_path / str(i), [])))[1] for i in range(2)}  # type: ignore[index]
    assert len(nonces) == 2


def test_all_trials_are_in_the_table_the_best_first(tmp_path: Path) -> None:
    study = full(tmp_path)
    page = Page(html.page(study))
    begin = page.cells.index("trial", page.cells.index("log"))
    columns = page.cells[begin : page.cells.index("error", begin) + 1]
    width = len(columns)
    rows = [page.cells[begin + i * width : begin + (i + 1) * width] for i in range(1, len(study.results) + 1)]
    assert rows[0][0] == str(study.ranking.best.spec.id)  # type: ignore[union-attr]
    base = [row[0] for row in rows if row[columns.index("configuration")].endswith(" (baseline)")]
    assert study.baseline is not None and base == [str(study.baseline.spec.id)]
    assert rows[-1][columns.index("status")] == "crashed" and rows[-1][columns.index("error")] == HOSTILE
    assert {"batch_size", "backend", "speedup"} <= set(columns)
    assert not {"layout", "setup_s"} & set(columns), "what all trials have alike says nothing"
    memory = [row[columns.index("peak_rss MiB")] for row in rows]
    assert memory.count("") == 2 and {"301", "338"} <= set(memory)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_study_that_has_just_begun(tmp_path: Path, count: int) -> None:
    page = Page(html.page(keep(tmp_path / "toy", [result(i, rates=(10, 10)) for i in range(count)])))
    assert {"All trials", "Machine and versions", "Run it again"} <= set(page.titles)


def test_a_study_in_which_everything_failed(tmp_path: Path) -> None:
    page = Page(html.page(keep(tmp_path / "toy", [result(i, status=Status.TIMEOUT) for i in range(3)])))
    assert "Failures" in page.titles and "importances" not in {
        attributes.get("data-plot") for _, attributes in page.tags
    }


def test_the_commands_and_the_space_file_are_escaped(tmp_path: Path) -> None:
    page = html.page(keep(tmp_path / "it's $(id)", many(3)))
    assert "--name &#39;it&#39;&#34;&#39;&#34;&#39;s $(id)-again&#39;" in page
    assert "name: toy # &lt;b&gt;&amp;" in page


def test_a_front_is_a_part_of_its_own(tmp_path: Path) -> None:
    space = msgspec.structs.replace(SPACE, objective=("throughput", "peak_rss_bytes"))
    results = [result(i, rates=(10 + i, 10 + i), peak_rss_bytes=(i + 1) * 2**20) for i in range(2)]
    page = Page(html.page(keep(tmp_path, results, space=space)))
    assert page.titles[0].startswith("The front: none is better than another")
    assert "1        11.0/s         2 MiB" in " ".join(page.cells)


def test_a_trial_beyond_a_limit_is_told_from_one_that_counts(tmp_path: Path) -> None:
    page = Page(html.page(keep(tmp_path, [result(0, rates=(10,)), result(1, FAST, rates=(20,), feasible=False)])))
    assert page.cells.count("beyond a limit") == 1
