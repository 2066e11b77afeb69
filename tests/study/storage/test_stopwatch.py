from __future__ import annotations

from pathlib import Path

import pytest

from autotune.study.storage import store
from autotune.study.storage.stopwatch import stopwatch
from tests.study.fakes import in_memory, machine, resolved


def test_time_adds_up_over_runs_however_they_end(tmp_path: Path) -> None:
    hw = machine()
    study = in_memory(tmp_path, resolved(hw), hw)
    now = [10.0]
    with stopwatch(study, lambda: now[0]) as elapsed:
        now[0] += 5
        assert elapsed() == 5
    assert store.elapsed_s(tmp_path) == 5
    with pytest.raises(KeyboardInterrupt), stopwatch(study, lambda: now[0]) as elapsed:
        now[0] += 2
        assert elapsed() == 7
        raise KeyboardInterrupt
    assert store.elapsed_s(tmp_path) == 7
