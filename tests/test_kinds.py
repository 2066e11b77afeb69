"""Every kind of model that docs/kinds.md names, in a short study; the pretrained ones in all precisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autotune.core.results import TrialResult
from autotune.space.find import find, shipped
from autotune.study.storage import store
from tests.place import ROOT, Place

PAGE = ROOT / "docs" / "kinds.md"
NAMED = dict.fromkeys(re.findall(r"^\|[^|]+\| `([\w/-]+)\.yaml` \|", PAGE.read_text(), re.MULTILINE))
KINDS = [Path(name).stem for name in NAMED]
PRETRAINED = ("filetypes", "ocr", "retrieval", "tabular", "vad")
WEIGHTS = ROOT / "pretrained" / ".done"
LOSS = 0.01
"""The loss of right answers that a space on pretrained weights allows."""


def test_the_page_names_every_kind() -> None:
    in_folder = {path.stem for path in shipped() if path.parent.name == "kinds"}
    assert in_folder | set(PRETRAINED) <= set(KINDS)
    assert all((ROOT / "search_spaces" / f"{name}.yaml").is_file() for name in NAMED)
    assert len(KINDS) >= 12


def study(
    name: str, folder: Path, cache: Path, text: str | None = None, *options: str
) -> tuple[Place, list[TrialResult]]:
    """A study of a shipped space, or of a file with this text beside it, and its results."""
    if name in PRETRAINED and not WEIGHTS.exists():
        pytest.skip("needs the weights of `make pretrained`")
    place, path = Place(folder, cache), find(name)
    if text is not None:
        (folder / "search_spaces").symlink_to(path.parent)
        (folder / "pretrained").symlink_to(WEIGHTS.parent)
        path = folder / "space.yaml"
        path.write_text(text)
    done = place.autotune("--space", str(path), "--name", "mine", "--skip-confirmation", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return place, store.results(place.study)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_short_study_of_each_kind(name: str, tmp_path: Path, shared: Path) -> None:
    place, results = study(name, tmp_path, shared / "cache", None, "--trials", "3", "--minutes", "4")
    assert len(results) == 3
    assert [result.error for result in results if not result.status.measured] == []
    best = place.best()
    assert best.fidelity is not None
    if name in PRETRAINED:
        assert best.fidelity.judged and best.accuracy is not None
        assert best.accuracy.drop.estimate <= LOSS
