from __future__ import annotations

from pathlib import Path

import numpy as np

from autotune.report.page.plots import parallel
from tests.report.folders import keep, many
from tests.report.made import config, result


def test_a_line_goes_through_its_settings_to_its_rate(tmp_path: Path) -> None:
    fast = config("openvino", 16, {"precision": "int8"})
    found = parallel.figure(keep(tmp_path, [result(0, rates=(10, 10)), result(1, fast, rates=(40, 40))]))
    assert found is not None
    ticks = list(found.layout.xaxis.ticktext)
    assert ticks[-1] == "throughput" and {"batch_size", "backend", "precision"} <= set(ticks)
    best, slow = (next(one for one in found.data if one.name == name) for name in ("fastest 5 %", "the others"))
    batch = ticks.index("batch_size")
    assert (best.y[batch] > 0.9, slow.y[batch] < 0.1) == (True, True)
    assert (best.y[len(ticks) - 1], slow.y[len(ticks) - 1]) == (1.0, 0.0)
    assert np.isnan(best.y[-1]), "a gap parts one line from the next"
    labels = {one.text for one in found.layout.annotations}
    assert {"1", "16", "int8", "openvino", "10.0/s", "40.0/s"} <= labels


def test_every_trial_is_in_one_shade_and_has_an_end(tmp_path: Path) -> None:
    study = keep(tmp_path, many())
    found = parallel.figure(study)
    assert found is not None
    *lines, ends = found.data
    assert sum(int(np.isnan(one.y).sum()) for one in lines) == len(ends.text) == 39
    assert len(set(ends.text)) == 39 and "trial 0: 10.0/s" in " ".join(ends.text)


def test_of_a_large_study_the_fastest_and_some_of_the_others_are_drawn() -> None:
    drawn = parallel._drawn(5000)
    assert drawn[:500] == list(range(500)) and 900 <= len(drawn) <= 1000 and drawn[-1] >= 4985
    assert parallel._drawn(3) == [0, 1, 2]


def test_one_trial_or_one_configuration_has_no_plot(tmp_path: Path) -> None:
    assert parallel.figure(keep(tmp_path / "none", [])) is None
    assert parallel.figure(keep(tmp_path / "one", [result(0, rates=(10,))])) is None
    assert parallel.figure(keep(tmp_path / "same", [result(i, rates=(10,)) for i in range(2)])) is None
