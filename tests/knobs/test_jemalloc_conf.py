from pathlib import Path

import msgspec
import pytest

from autotune.hardware.probe import probe
from autotune.knobs import jemalloc_conf
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()
FOUND = hardware(2, libraries={"jemalloc": "/usr/lib/libjemalloc.so.2"})


def test_where_jemalloc_was_found() -> None:
    assert jemalloc_conf.domain(FOUND) == ("default", "run_cpu", "keep")
    assert jemalloc_conf.domain(hardware(2)) == ("default",)
    assert "libjemalloc2" in (jemalloc_conf.unavailable("keep", hardware(2)) or "")


def test_launch() -> None:
    run_cpu = "oversize_threshold:1,background_thread:true,metadata_thp:auto"
    assert jemalloc_conf.launch("default", FOUND).env == {}
    assert jemalloc_conf.launch("run_cpu", FOUND).env == {"MALLOC_CONF": run_cpu}
    assert jemalloc_conf.launch("keep", FOUND).env == {"MALLOC_CONF": f"{run_cpu},dirty_decay_ms:-1,muzzy_decay_ms:-1"}


def test_another_allocator_does_not_read_it() -> None:
    plain = configured("onnxruntime")
    jemalloc = msgspec.structs.replace(plain, knobs={**plain.knobs, "allocator": "jemalloc"})
    assert jemalloc_conf.without_effect("keep", jemalloc, ("onnxruntime",)) is None
    assert jemalloc_conf.without_effect("default", plain, ()) is None
    assert "allocator: jemalloc" in (jemalloc_conf.without_effect("keep", plain, ()) or "")


CHILD = """
from autotune.knobs import jemalloc_conf
told.update({value: jemalloc_conf.applied(value, None) for value in ("default", "run_cpu", "keep")})
"""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("keep", {"default": None, "run_cpu": None, "keep": None}),
        (
            "run_cpu",
            {
                "default": None,
                "run_cpu": None,
                "keep": "jemalloc was not given dirty_decay_ms:-1; it tells 10000",
            },
        ),
        (
            "default",
            {
                "default": None,
                "run_cpu": "jemalloc was not given oversize_threshold:1; it tells 8388608",
                "keep": "jemalloc was not given oversize_threshold:1; it tells 8388608",
            },
        ),
    ],
)
def test_jemalloc_tells(tmp_path: Path, value: jemalloc_conf.Value, said: dict[str, str | None]) -> None:
    if reason := jemalloc_conf.unavailable("keep", HERE):
        pytest.skip(reason)
    env = {"LD_PRELOAD": HERE.libraries["jemalloc"], **jemalloc_conf.launch(value, HERE).env}
    assert told(CHILD, tmp_path, env=env) == said


def test_a_process_without_jemalloc(tmp_path: Path) -> None:
    assert "is not in the process" in told(CHILD, tmp_path, env=jemalloc_conf.launch("keep", HERE).env)["keep"]
