from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autotune.core.struct import Struct, Value, digest, is_number
from tests import structs


@pytest.mark.parametrize("kind", structs.every(), ids=structs.name)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_struct_is_frozen_survives_json_and_refuses_an_unknown_field(
    kind: type[Struct], data: st.DataObject
) -> None:
    value = data.draw(structs.values(kind))
    assert kind.__struct_config__.frozen
    assert structs.decoded(value, kind) == value
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        msgspec.json.decode(msgspec.json.encode(structs.fields(value) | {"colour": "red"}), type=kind)


def test_digests_stay_as_they_are() -> None:
    """Studies and caches are found by them; a change here is a new `FORMAT`."""
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest({"b": 1, "a": True}) == digest({"a": True, "b": 1})


@pytest.mark.parametrize(("value", "number"), [(1, True), (1.5, True), (True, False), ("1", False)])
def test_a_number_has_an_order(value: Value, number: bool) -> None:
    assert is_number(value) == number
