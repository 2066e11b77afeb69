from __future__ import annotations

import pytest

from autotune.core.results import Status
from autotune.knobs import layout
from autotune.space import configs
from autotune.worker import settings_check
from autotune.worker.check_failed import CheckFailed
from tests.study import fakes


def test_a_knob_that_is_not_in_effect_is_named() -> None:
    hw = fakes.machine()
    config = configs.configure(hw, batch_size=1, backend="torch_eager", options={}, knobs={"allocator": "tcmalloc"})
    with pytest.raises(CheckFailed, match=r"^allocator: .*libtcmalloc\.so is not mapped") as caught:
        # the layout comes later by name, so this process may have any
        settings_check.check(None, config, hw, tuple(layout.reach()))  # type: ignore[arg-type]
    assert caught.value.status is Status.NOT_APPLIED
