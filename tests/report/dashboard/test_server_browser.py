"""The dashboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import chromium
from tests.report.dashboard.samples import served
from tests.report.folders import full
from tests.tune_harness import files


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


def until(browser: Any, text: str) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 60).until(lambda _: text in browser.find_element("tag name", "body").text)


def errors(browser: Any) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_nothing_hostile_runs_and_nothing_is_deleted(browser: Any, tmp_path: Path) -> None:
    study = full(tmp_path)
    before = files(study.folder)
    with served(study.folder) as (_, address):
        browser.get(f"{address}/note")
        until(browser, "finalists, against the baseline")
        browser.get(f"{address}/trials?numbers=39")
        until(browser, "crashed:")
        assert '<script>document.title="taken"</script>' in browser.find_element("tag name", "body").text
        browser.get(f"{address}/smartSelection")
        until(browser, "onnxruntime")
        browser.get(address)
        until(browser, "Highest rate by batch size and layout")
        assert browser.title != "taken" and browser.find_elements("css selector", "img[src='x']") == []
        assert errors(browser) == []
        refused = "return fetch('/api/studies/0', {method: 'DELETE', body: '{}'}).then((answer) => answer.status)"
        assert browser.execute_script(refused) == 403
        browser.refresh()
        until(browser, "Highest rate by batch size and layout")
    assert files(study.folder) == before
