from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.core.protocol import Command, Job, Reply
from autotune.core.struct import Struct
from tests import structs

MESSAGES = [(kind, message) for kind in (Job, Command, Reply) for message in get_args(kind)]


@pytest.mark.parametrize(("kind", "message"), MESSAGES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_message_is_told_from_the_others_by_its_type(kind: Any, message: type[Struct], data: st.DataObject) -> None:
    sent = data.draw(structs.values(message))
    received = structs.decoded(sent, kind)
    assert received == sent and type(received) is message
    wrong = structs.fields(sent) | {"type": "sing"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, kind)
