from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.core.config import Config, Layout, WorkloadSettings
from autotune.core.struct import Value

CONFIG = Config(
    workload=WorkloadSettings(batch_size=4),
    backend="torch_compile",
    options={"precision": "float32", "freezing": True},
    knobs={"layout": "2x1", "allocator": "system"},
)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_layout_is_what_it_is_written_as(workers: int, threads: int) -> None:
    layout = Layout(workers=workers, threads=threads)
    assert Layout.parse(str(layout)) == layout


@pytest.mark.parametrize(
    "text", ["", "x", "2", "2x", "x1", "0x1", "2x0", "-2x1", "+2x1", "2X1", "2x1x1", "2 x 1", "²x1"]
)
def test_what_is_no_layout_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="a layout is written WORKERSxTHREADS") as caught:
        Layout.parse(text)
    assert repr(text) in str(caught.value)


def test_a_configurations_layout_is_its_knob() -> None:
    assert CONFIG.layout == Layout(workers=2, threads=1)


# ---------------------------------------------------------------------------------------------------------- keys

values = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.dictionaries(st.text(), values, max_size=5), st.randoms())
def test_a_key_does_not_depend_on_the_order_of_names(options: dict[str, Value], random: Any) -> None:
    names = list(options)
    random.shuffle(names)
    shuffled = {name: options[name] for name in names}
    one, other = (msgspec.structs.replace(CONFIG, options=given, knobs=given) for given in (options, shuffled))
    assert one.key == other.key
    assert len({one, other}) == 1


@given(st.dictionaries(st.text(), values, max_size=5))
def test_a_configuration_read_back_has_its_key(options: dict[str, Value]) -> None:
    config = msgspec.structs.replace(CONFIG, options=options)
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config).key == config.key


def test_another_configuration_has_another_key() -> None:
    configs = [
        CONFIG,
        *(msgspec.structs.replace(CONFIG, options={"x": value}) for value in (True, 1, 1.0, "1", "true", 2)),
        msgspec.structs.replace(CONFIG, options={}, knobs={"x": 2}),
        msgspec.structs.replace(CONFIG, backend="torch_eager"),
        msgspec.structs.replace(CONFIG, workload=WorkloadSettings(batch_size=5)),
    ]
    assert len({config.key for config in configs}) == len(configs)


def test_keys_stay_as_they_are() -> None:
    """Studies are found by them; a change here is a new `FORMAT`."""
    assert CONFIG.key == "3aa29334df28c7050ac1233f75196c9f2ee5fa1b848e0199334e3b566f7a35c1"
