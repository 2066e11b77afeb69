from __future__ import annotations

import pytest

from autotune.core.results import Status
from autotune.worker.failure import CheckFailed


@pytest.mark.parametrize("status", [Status.WRONG_OUTPUT, Status.NOT_APPLIED])
def test_a_failed_check_says_how_the_trial_ends(status: Status) -> None:
    failed = CheckFailed(status, "why")
    assert (failed.status, str(failed)) == (status, "why")
