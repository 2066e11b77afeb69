from __future__ import annotations

import msgspec
import pytest

from autotune.core.confirmation import Ablation, Confirmation, Step
from tests.report.made import PLAIN, confirmation, estimate, winner


def test_a_confirmation_survives_its_file() -> None:
    found = confirmation(
        winner(PLAIN),
        ablations=(Ablation(setting="batch_size", value=8, instead=1, ratio=estimate(1.1, 0.1), removed=True),),
        path=(Step(settings={"batch_size": 8}, ratio=None, total=estimate(1.1)),),
    )
    assert msgspec.json.decode(msgspec.json.encode(found), type=Confirmation) == found


def test_unknown_keys_are_refused() -> None:
    data = msgspec.to_builtins(confirmation(winner(PLAIN))) | {"surely": True}
    with pytest.raises(msgspec.ValidationError, match="surely"):
        msgspec.convert(data, Confirmation)
