from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from autotune.core import plugins
from autotune.core.errors import AutotuneError
from autotune.core.struct import digest
from autotune.space import configs
from tests.space.space_file import machine


def test_configure_fills_in_every_default() -> None:
    hw = machine()
    config = configs.configure(hw, batch_size=8, backend="torch_compile", options={"freezing": True})
    defaults = msgspec.structs.asdict(plugins.backend_options("torch_compile", {}))
    assert config.options == defaults | {"freezing": True}
    assert set(config.knobs) == set(plugins.names("knobs"))
    spelt_out = configs.configure(
        hw, batch_size=8, backend="torch_compile", options=config.options, knobs=dict(reversed(config.knobs.items()))
    )
    assert (spelt_out, spelt_out.key) == (config, digest(config))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"knobs": {"alocator": "system"}}, "unknown knob 'alocator'; did you mean 'allocator'?"),
        ({"options": {"precision": "int3"}}, "options of torch_eager that are not legal: Invalid enum value 'int3'"),
        ({"options": {"precison": "int3"}}, "options of torch_eager that are not legal: Object contains unknown field"),
        ({"backend": "torch_eagle"}, "unknown backend 'torch_eagle'; did you mean 'torch_eager'"),
    ],
)
def test_configure_refuses_what_is_not_legal(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AutotuneError, match=re.escape(message)):
        configs.configure(machine(), **{"batch_size": 1, "backend": "torch_eager"} | changes)


def test_unavailable_asks_knobs_too() -> None:
    config = configs.configure(machine(), batch_size=1, backend="torch_eager", knobs={"layout": "2x2"})
    assert configs.unavailable(config, machine()) == "layout: 2x2 needs 4 cores, and 2 are usable"
    assert configs.unavailable(config, machine(cores=4)) is None


def test_huge_pages_that_nobody_asks_for_are_not_measured() -> None:
    hw = msgspec.structs.replace(machine(), huge_page_mode="madvise", libraries={"tcmalloc": "/lib/libtcmalloc.so.4"})

    def reason(backend: str, allocator: str) -> str | None:
        knobs = {"allocator": allocator, "huge_pages": True}
        return configs.unavailable(configs.configure(hw, batch_size=1, backend=backend, knobs=knobs), hw)

    assert "only torch asks for huge pages" in (reason("onnxruntime", "tcmalloc") or "")
    assert reason("onnxruntime", "system") is None
    assert reason("torch_eager", "tcmalloc") is None
