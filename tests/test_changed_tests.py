from __future__ import annotations

import pytest

from scripts import changed_tests

TEXTS = {
    "autotune/__init__.py": "",
    "autotune/core/__init__.py": "",
    "autotune/core/low.py": "",
    "autotune/core/other.py": "",
    "autotune/high.py": "from autotune.core import (\n    low,\n)\n",
    "autotune/page.py": 'TEMPLATE = "page.html"\n',
    "tests/conftest.py": "",
    "tests/helper.py": "from autotune.high import thing\n",
    "tests/core/test_low.py": "from autotune.core.low import thing\n",
    "tests/test_high.py": "from tests.helper import thing\n",
    "tests/test_child.py": 'SCRIPT = "from autotune.core import other; other.run()"\n',
    "tests/test_page.py": "from autotune import page\n",
    "tests/test_trial.py": "from tests.conftest import ExtendedPackage\n",
}
DEPENDS = changed_tests.dependencies(TEXTS, ["templates/page.html", "README.md"])
ALL = [path for path in TEXTS if "/test_" in path]


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("autotune/core/low.py", ["tests/core/test_low.py", "tests/test_high.py", "tests/test_trial.py"]),
        ("autotune/core/other.py", ["tests/test_child.py", "tests/test_trial.py"]),
        ("autotune/page.py", ["tests/test_page.py", "tests/test_trial.py"]),
        ("templates/page.html", ["tests/test_page.py", "tests/test_trial.py"]),
        ("tests/helper.py", ["tests/test_high.py"]),
        ("tests/test_high.py", ["tests/test_high.py"]),
        ("tests/conftest.py", ALL),
        ("pyproject.toml", ALL),
        ("README.md", []),
    ],
)
def test_a_change_selects_what_depends_on_it(changed: str, tests: list[str]) -> None:
    assert changed_tests.affected([changed], DEPENDS) == sorted(tests)


def test_the_names_in_a_text() -> None:
    assert changed_tests.named("from autotune.core import low, other  # and autotune.high\nimport numpy.linalg") == {
        "autotune.core",
        "autotune.core.low",
        "autotune.core.other",
        "autotune.high",
    } | {f"autotune.core.{word}" for word in ("and", "autotune", "high")}
