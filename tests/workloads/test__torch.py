from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.backends import child

MODEL = """
import sys
BEFORE = "torchvision" in sys.modules

def build():
    import torchvision
    return torchvision.models.squeezenet1_1()

def plain():
    from torch import nn
    return nn.Linear(2, 2)
"""

CHILD = """
import importlib.util
from autotune.workloads import _torch, python

(folder / "model.py").write_text(MODEL)
python.build(f"{folder / 'model.py'}:plain", python.Options(), 0)
told["imported for nothing"] = "torchvision" in sys.modules
for _ in range(2):
    _torch.mend_torchvision()
told["finders"] = sys.meta_path.count(_torch._FINDER)
told["found"] = importlib.util.find_spec("torchvision") is not None
told["left"] = sys.meta_path.count(_torch._FINDER)
told["model"] = type(python.build(f"{folder / 'model.py'}:build", python.Options(), 0)).__name__
told["again"] = type(python.build(f"{folder / 'model.py'}:build", python.Options(), 0)).__name__
told["ours"] = _torch.import_torchvision().__name__
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("torchvision")
    return child.told(f"MODEL = {MODEL!r}\n{CHILD}", folder, "torch", "torchvision")


def test_torchvision_can_be_imported_in_a_users_function(told: dict[str, Any]) -> None:
    assert (told["model"], told["again"]) == ("SqueezeNet", "SqueezeNet")
    assert told["ours"] == "torchvision"


def test_it_is_imported_for_nobody_else(told: dict[str, Any]) -> None:
    assert not told["imported for nothing"]


def test_the_finder_is_there_once_and_goes_when_it_was_asked(told: dict[str, Any]) -> None:
    assert (told["finders"], told["found"], told["left"]) == (1, True, 0)
