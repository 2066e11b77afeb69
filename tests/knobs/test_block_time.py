from pathlib import Path

import msgspec
import pytest

from autotune.core.config import Config
from autotune.hardware.probe import probe
from autotune.knobs import block_time, openmp
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()
INTEL = hardware(2, libraries={"iomp5": "/opt/env/lib/libiomp5.so"})


def config(threads: int = 2, **knobs: str) -> Config:
    plain = configured("torch_eager", threads=threads)
    return msgspec.structs.replace(plain, knobs={**plain.knobs, **knobs})


def test_only_intels_runtime_has_one() -> None:
    assert block_time.domain(INTEL) == (0, 1, 200)
    assert block_time.domain(hardware(2)) == (200,)
    assert block_time.unavailable(200, hardware(2)) is None
    assert "intel-openmp" in (block_time.unavailable(1, hardware(2)) or "")


def test_launch() -> None:
    assert block_time.launch(200, INTEL).env == {}
    assert block_time.launch(0, INTEL).env == {"KMP_BLOCKTIME": "0"}


@pytest.mark.parametrize(
    ("value", "chosen", "reason"),
    [
        (1, config(openmp="intel"), None),
        (200, config(openmp="gnu", wait_policy="active"), None),
        (1, config(openmp="gnu"), "write openmp: intel"),
        (1, config(openmp="intel", wait_policy="active"), "so does wait_policy: active"),
        (1, config(openmp="intel", threads=1), "one thread"),
    ],
)
def test_without_effect(value: int, chosen: Config, reason: str | None) -> None:
    said = block_time.without_effect(value, chosen, ("torch",))
    assert (said is None) if reason is None else reason in (said or "")


CHILD = """
from autotune.knobs import block_time
told.update({str(value): block_time.applied(value, None) for value in (0, 1, 200)})
"""


@pytest.mark.parametrize("value", [0, 1, 200])
def test_applied_in_a_child(tmp_path: Path, value: int) -> None:
    if reason := openmp.unavailable("intel", HERE):
        pytest.skip(reason)
    preload = {"LD_PRELOAD": HERE.libraries["iomp5"]}
    found = told(CHILD, tmp_path, env={**preload, **block_time.launch(value, HERE).env})
    assert [name for name, reason in found.items() if reason is None] == [str(value)]


def test_the_variable_alone_is_no_proof(tmp_path: Path) -> None:
    assert "is not in the process" in told(CHILD, tmp_path, env={"KMP_BLOCKTIME": "1"})["1"]
