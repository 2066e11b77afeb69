"""What the documentation shows is real: its plugins run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.core.results import Status
from autotune.core.workload_spec import WorkloadSpec
from tests.conftest import Lab

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
FILES = dict(re.findall(r"^`(autotune/\S+\.py)`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
def extended(lab: Lab) -> Iterator[Lab]:
    """The lab with the page's files in its copy of the package, for one test."""
    for name, text in FILES.items():
        path = lab.package / name
        assert not path.exists()
        path.write_text(text)
    yield lab
    for name in FILES:
        (lab.package / name).unlink()


def test_the_page_has_one_plugin_of_each_kind() -> None:
    assert [Path(name).parent.name for name in FILES] == ["knobs", "backends", "workloads"]


def test_its_plugins_work_together_in_a_real_trial(extended: Lab, tmp_path: Path) -> None:
    workload = WorkloadSpec(model="layers:8x16x4", inputs=())
    options = {"memory_format": "contiguous", "precision": "float32"}
    isa = "avx2" if "avx2" in extended.hardware.isa else "default"
    spec = extended.spec("torch_jit", options, workload=workload, onednn_isa=isa)
    (result,) = extended.execute(tmp_path, [spec]).results
    assert (result.status, result.error) == (Status.OK, None)
    assert result.fidelity is not None and result.fidelity.max_abs_error < 1e-5
