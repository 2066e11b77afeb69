from __future__ import annotations

from pathlib import Path

import pytest

from autotune.core.errors import SpaceError
from autotune.space.find import find, shipped


def test_find(folder: Path) -> None:
    known = {path.stem: path for path in shipped()}
    assert {"quick", "resnet50"} < set(known)
    assert find("resnet50") == find("resnet50.yaml") == known["resnet50"]
    (folder / "resnet50").mkdir()
    assert find("resnet50") == known["resnet50"]
    (folder / "resnet50.yaml").write_text("")
    assert find("resnet50.yaml") == Path("resnet50.yaml")
    assert find(folder / "resnet50.yaml") == folder / "resnet50.yaml"
    names = ", ".join(path.stem for path in shipped())
    with pytest.raises(SpaceError) as near:
        find("resnet5.yaml")
    assert str(near.value) == (
        f"no space 'resnet5.yaml', neither a file nor shipped; did you mean 'resnet50' or 'resnet50-xeon'? "
        f"shipped: {names}"
    )
    with pytest.raises(SpaceError) as far:
        find("\0")
    listed = ", ".join(sorted(known))
    assert str(far.value) == rf"no space '\x00', neither a file nor shipped; shipped: {listed}"
