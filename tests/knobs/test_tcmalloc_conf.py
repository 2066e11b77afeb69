from pathlib import Path

import msgspec
import pytest

from autotune.hardware.probe import probe
from autotune.knobs import tcmalloc_conf
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()
FOUND = hardware(2, libraries={"tcmalloc": "/usr/lib/libtcmalloc_minimal.so.4"})


def test_where_tcmalloc_was_found() -> None:
    assert tcmalloc_conf.domain(FOUND) == ("default", "large_cache", "keep")
    assert tcmalloc_conf.domain(hardware(2)) == ("default",)
    assert "libtcmalloc-minimal4" in (tcmalloc_conf.unavailable("keep", hardware(2)) or "")


def test_launch() -> None:
    cache = {"TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES": str(2**30)}
    assert tcmalloc_conf.launch("default", FOUND).env == {}
    assert tcmalloc_conf.launch("large_cache", FOUND).env == cache
    assert tcmalloc_conf.launch("keep", FOUND).env == cache | {"TCMALLOC_RELEASE_RATE": "0"}


def test_another_allocator_does_not_read_it() -> None:
    plain = configured("onnxruntime")
    tcmalloc = msgspec.structs.replace(plain, knobs={**plain.knobs, "allocator": "tcmalloc"})
    assert tcmalloc_conf.without_effect("keep", tcmalloc, ("onnxruntime",)) is None
    assert tcmalloc_conf.without_effect("default", plain, ()) is None
    assert "allocator: tcmalloc" in (tcmalloc_conf.without_effect("keep", plain, ()) or "")


CHILD = """
from autotune.knobs import tcmalloc_conf
told.update({value: tcmalloc_conf.applied(value, None) for value in tcmalloc_conf.VARIABLES})
"""


@pytest.mark.parametrize("value", ["default", "large_cache", "keep"])
def test_tcmalloc_tells(tmp_path: Path, value: tcmalloc_conf.Value) -> None:
    if reason := tcmalloc_conf.unavailable("keep", HERE):
        pytest.skip(reason)
    env = {"LD_PRELOAD": HERE.libraries["tcmalloc"], **tcmalloc_conf.launch(value, HERE).env}
    found = told(CHILD, tmp_path, env=env)
    assert [name for name, reason in found.items() if reason is None] == [value]


def test_the_variable_alone_is_no_proof(tmp_path: Path) -> None:
    found = told(CHILD, tmp_path, env=tcmalloc_conf.launch("keep", HERE).env)
    assert "is not in the process" in found["keep"]
