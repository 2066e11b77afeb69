from __future__ import annotations

import platform
from importlib.metadata import version

from autotune.worker import process_info


def test_peak_memory_never_falls() -> None:
    before = process_info.peak_rss_bytes()
    data = b"x" * 300_000_000
    grown = process_info.peak_rss_bytes()
    assert grown >= len(data)
    del data
    assert process_info.peak_rss_bytes() >= grown >= before > 1_000_000


def test_memory_now_follows_what_is_held() -> None:
    before = process_info.rss_bytes()
    data = b"x" * 100_000_000
    grown = process_info.rss_bytes()
    assert grown >= before + 90_000_000
    del data
    assert process_info.rss_bytes() < grown - 90_000_000


def test_versions_of_python_and_packages() -> None:
    assert process_info.versions(("numpy", "msgspec")) == {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "msgspec": version("msgspec"),
    }
