import os
import subprocess
import sys
from pathlib import Path

import pytest

from autotune.hardware.probe import probe
from autotune.knobs import openmp, wait_policy
from tests.backends.child import configured, told
from tests.machines import hardware

HERE = probe()


def test_every_machine_has_all() -> None:
    assert wait_policy.domain(hardware(1)) == ("default", "active", "passive")
    assert wait_policy.launch("default", HERE).env == {}
    assert wait_policy.launch("active", HERE).env == {"OMP_WAIT_POLICY": "active"}


def test_without_effect_where_nobody_waits() -> None:
    assert wait_policy.without_effect("active", configured("torch_eager", threads=2), ("torch",)) is None
    assert wait_policy.without_effect("default", configured("onnxruntime"), ("onnxruntime",)) is None
    assert wait_policy.without_effect("active", configured("torch_eager"), ("torch",)) is not None
    assert wait_policy.without_effect("passive", configured("openvino", threads=2), ("openvino",)) is not None


CHILD = """
from autotune.knobs import wait_policy
told.update({value: wait_policy.applied(value, None) for value in ("default", "active", "passive")})
"""


@pytest.mark.parametrize("runtime", ["gnu", "intel"])
@pytest.mark.parametrize("value", ["default", "active", "passive"])
def test_applied_in_a_child(tmp_path: Path, value: wait_policy.Value, runtime: openmp.Value) -> None:
    if reason := openmp.unavailable(runtime, HERE):
        pytest.skip(reason)
    preload = {"LD_PRELOAD": ":".join(openmp.launch(runtime, HERE).preload)}
    found = told(CHILD, tmp_path, env={**preload, **wait_policy.launch(value, HERE).env})
    assert [name for name, reason in found.items() if reason is None] == [value]


def test_intels_runtime_is_asked(tmp_path: Path) -> None:
    """KMP_BLOCKTIME wins over OMP_WAIT_POLICY, which the variable alone would not show."""
    if reason := openmp.unavailable("intel", HERE):
        pytest.skip(reason)
    env = {"LD_PRELOAD": HERE.libraries["iomp5"], "KMP_BLOCKTIME": "7", "OMP_WAIT_POLICY": "active"}
    found = told(CHILD, tmp_path, env=dict(env))
    assert found["active"] == "Intel's runtime waits for 7 ms before it sleeps, which is not active"


def test_torchs_libgomp_reads_it() -> None:
    if "torch" not in HERE.packages:
        pytest.skip("needs torch")
    environ = {"PATH": os.environ["PATH"], "OMP_DISPLAY_ENV": "true", **wait_policy.launch("active", HERE).env}
    argv = [sys.executable, "-c", "import torch"]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=True)  # type: ignore[arg-type]
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in done.stderr
