"""Running a few lines in a child, the only place where a test may import a framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotune.core.config import Config, WorkloadSettings
from autotune.core.struct import Value

ROOT = Path(__file__).parents[2]
HELD = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
"""Holds oneDNN, torch's and OpenVINO's, to what a CPU without VNNI has; `this_machine` of the child is then one."""

QUICKLY = {"TORCHINDUCTOR_VEC_ISA_OK": "1", "AOT_INDUCTOR_COMPILE_WRAPPER_OPT_LEVEL": "O0"}
"""Inductor believes the CPU, else it compiles tests of instruction sets for 10 s, and optimises no wrapper."""

START = """
import json, os, sys
from pathlib import Path
import msgspec
import numpy as np
from autotune.core import plugins
from autotune.core.errors import ModelError
from autotune.hardware import probe
from tests.backends.child import UNDESCRIBED, configured

folder, told = Path(sys.argv[1]), {}
this_machine = probe.probe()
if "ONEDNN_MAX_CPU_ISA" in os.environ:
    this_machine = msgspec.structs.replace(this_machine, isa=("avx2",))

def failure(ask, *given):
    try:
        ask(*given)
    except ModelError as error:
        return str(error)
    return None
"""


UNDESCRIBED: Any = SimpleNamespace(form="module", described=(), batch_axes=(0,))
"""A workload whose inputs no space file describes, as far as who loads a prepared model needs it."""


def configured(backend: str, threads: int = 1, batch_size: int = 2, **options: Value) -> Config:
    return Config(
        workload=WorkloadSettings(batch_size=batch_size),
        backend=backend,
        options=options,
        knobs={"layout": f"1x{threads}"},
    )


def told(script: str, folder: Path, *needed: str, env: dict[str, str | None] | None = None) -> dict[str, Any]:
    """The values that the lines put into `told`; skipped where a package that they need is not installed."""
    if missing := [name for name in needed if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    changes = {name: value.replace("{cache}", str(folder)) for name, value in (env or {}).items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-c", f"{START}{script}\nprint(json.dumps(told))", folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **QUICKLY, **changes},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
