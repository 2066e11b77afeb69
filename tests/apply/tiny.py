"""A small real model with its `best.json`, and lines that use it in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from autotune.core.answers import Fidelity, OutputFidelity
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.report.export import writer
from autotune.space import configs
from tests.apply import made
from tests.place import PATIENCE_S, ROOT, Place

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 8 * 8, 5)

    def forward(self, images):
        hidden = torch.relu(self.first(images)).flatten(1)
        return {"logits": self.last(hidden), "pooled": hidden.mean(1, keepdim=True)}


class AnySize(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        return torch.relu(self.first(images)).mean((2, 3))


class Pair(nn.Module):
    def forward(self, left, right):
        return left - 2 * right


def net():
    torch.manual_seed(0)
    return Net().eval()


def any_size():
    torch.manual_seed(0)
    return AnySize().eval()


def pair():
    return Pair().eval()
"""
IMAGES = (InputSpec(shape=("batch", 3, 8, 8)),)
FOUR = (InputSpec(shape=("batch", 4)),)
START = """
import json, sys, warnings
import autotune
from pathlib import Path
from autotune.apply.load_model import load
from autotune.core.errors import AutotuneError
told = {}

def said(use, *given, **named):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = use(*given, **named)
    return found, [str(one.message) for one in caught if "best.json" in str(one.message)]

def failure(use, *given, **named):
    try:
        said(use, *given, **named)
    except AutotuneError as error:
        return str(error)
    return None
"""


def best(
    folder: Path,
    backend: str = "torch_eager",
    options: dict[str, Value] | None = None,
    *,
    function: str = "net",
    inputs: tuple[InputSpec, ...] = IMAGES,
    batch_size: int = 2,
    outputs: tuple[str, ...] = ("logits", "pooled"),
    layout: str = "1x1",
    **fields: Any,
) -> Path:
    """`best.json` of a configuration of the model, one worker of one thread; `fields` are others of the file."""
    (folder / "net.py").write_text(MODEL)
    hw = probe.probe()
    config = configs.configure(
        hw, batch_size=batch_size, backend=backend, options=options or {}, knobs={"layout": layout}
    )
    close = [OutputFidelity(name=name, cosine_similarity=1.0, centred_error=0.0, max_abs_error=0.0) for name in outputs]
    fidelity = Fidelity(
        judged=True, samples=8, cosine_similarity=1, centred_error=0, max_abs_error=0, outputs=tuple(close)
    )
    workload = WorkloadSpec(model=f"python:{folder / 'net.py'}:{function}", inputs=inputs)
    given = {"workload": workload, "fidelity": fidelity, "versions": {}, "baseline": None} | fields
    writer.write(folder / "best.json", made.best(config, hw, **given))
    return folder / "best.json"


def told(place: Place, script: str, *argv: str, before: tuple[str, ...] = (), **environ: str) -> dict[str, Any]:
    """The content of `told` after the lines, run in the place's folder, by `before` (a program) where given."""
    code = f"{START}{script}\nprint(json.dumps(told))"
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *argv],
        capture_output=True,
        text=True,
        cwd=place.folder,
        env=place.environ | {"PYTHONPATH": f"{ROOT}:{place.folder}", **environ},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout.splitlines()[-1])
