"""The report in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from autotune.report.page import html
from tests.report.browser import chromium
from tests.report.folders import full

PLOTS = """
const places = [...document.querySelectorAll("[data-plot]")];
return places.filter((one) => one.querySelector(".main-svg") === null).map((one) => one.dataset.plot)"""
SHOWN = "return [...document.querySelectorAll('#trials tbody tr')].filter((row) => !row.hidden).map((row) => {}(row))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The report of a study with everything, opened once, its plots drawn; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("report")
    path = folder / "report.html"
    path.write_text(html.page(full(folder)))
    browser.get_log("browser")
    browser.get(path.as_uri())
    opened(browser)
    return browser


def opened(browser: Any) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 60).until(lambda _: browser.execute_script("return document.documentElement.dataset.ready"))


def column(browser: Any, at: int) -> list[str]:
    return list(browser.execute_script(SHOWN.format(f"((row) => row.cells[{at}].textContent)")))


def test_it_opens_without_an_error_and_draws_every_plot(page: Any) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script(PLOTS) == []
    assert page.title.endswith("mine: autotune"), "nothing hostile ran"
    assert page.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)") == []


def test_a_click_sorts_and_another_turns_it_round(page: Any) -> None:
    heads = [head.text for head in page.find_elements("css selector", "#trials th")]
    at = heads.index("throughput")
    for order in (False, True):
        page.find_elements("css selector", "#trials th button")[at].click()
        *rates, failed = column(page, at)
        assert [float(rate) for rate in rates] == sorted(map(float, rates), reverse=order)
        assert failed == "", "what has no rate stays below"
    page.find_elements("css selector", "#trials th button")[0].click()
    assert [int(text.split()[0]) for text in column(page, 0)] == list(range(40))


def test_a_filter_keeps_the_rows_that_hold_every_word(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    heads = [head.text for head in page.find_elements("css selector", "#trials th")]
    everything = column(page, heads.index("backend"))
    words = page.find_element("id", "filter")
    words.send_keys("OpenVINO int8")
    kept = column(page, heads.index("backend"))
    assert set(kept) == {"openvino"} and 0 < len(kept) < everything.count("openvino")
    assert page.find_element("id", "count").text == f"{len(kept)} of {len(everything)}"
    words.send_keys(Keys.BACKSPACE * len("OpenVINO int8"))
    assert column(page, heads.index("backend")) == everything


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_tables_and_not_the_page(page: Any, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.refresh()
        opened(page)
        assert page.execute_script("return document.documentElement.scrollWidth") == 390
        box = "return (({scrollWidth, clientWidth}) => scrollWidth > clientWidth)(document.querySelector('.box.tall'))"
        assert page.execute_script(box), "the table of all trials is wider than a phone"
        ground = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}[scheme]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_without_javascript_the_tables_are_there(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        assert len(page.find_elements("css selector", "#trials tbody tr")) == 40
        assert page.find_element("css selector", "noscript p").is_displayed()
        assert not page.find_element("id", "filter").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        page.refresh()
        opened(page)


def test_it_prints(page: Any) -> None:
    import base64

    found = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert found.startswith(b"%PDF") and page.get_log("browser") == []
    assert page.execute_script("return document.querySelector('details').open"), "the space file is printed, too"
