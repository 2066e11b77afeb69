from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from autotune.report.text import markdown

MARKED = st.text(st.sampled_from("`*_{}[]()<>|~#&$@^:+-=!.\\\\ \n\t12ab"))


def rendered(text: str) -> str:
    """With raw HTML let through: the worst that a page can do with it."""
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


@given(st.text() | MARKED)
def test_text_stays_text(text: str) -> None:
    html = rendered(f"before {markdown.literal(text)} after")
    assert html.startswith("<p>before ") and html.count("<") == 2, html


@given(st.text() | MARKED)
def test_text_stays_text_where_a_line_begins(text: str) -> None:
    assert rendered(markdown.literal(text)).count("<") in (0, 2)
    assert rendered(f"- {markdown.literal(text)}").count("<") == 4


@given(st.text(st.sampled_from("`~ab\n<>")))
def test_a_fence_holds_whatever_is_in_it(text: str) -> None:
    html = rendered(f"{markdown.fenced(text)}\n\nafter")
    assert html.count("<pre>") == 1 and html.endswith("<p>after</p>\n") and html.count("<") == 6, html


@given(st.text() | MARKED)
def test_a_table_keeps_its_cells(text: str) -> None:
    html = rendered(markdown.table((text, "b"), [("c", text), (text, "d")]))
    assert html.count("<tr>") == 3 and html.count("<th>") == 2 and html.count("<td>") == 4
    assert html.count("<") == 2 * (1 + 2 + 3 + 2 + 4), html


@pytest.mark.parametrize("text", ["20.7/s ±2.1 %, p90 (of 8)", "version 1.2.3?", """it's "quoted"; a/b = c"""])
def test_ordinary_text_can_be_read_unrendered(text: str) -> None:
    assert markdown.literal(text).replace("\\)", ")") == text
