"""A space that is planned on recorded machines, and configurations of it."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.report.text import plan
from autotune.space import configs
from autotune.space.load import load
from autotune.study.storage import store

SPACE = """\
name: planned
workload: {model: 'torchvision:resnet50', inputs: [{shape: [batch, 3, 224, 224]}]}
search:
  batch_size: [1, 8]
  workers: auto
  threads: auto
  allocator: [system, tcmalloc, jemalloc, mimalloc, tbbmalloc]
  huge_pages: [false, true]
  backend:
    torch_eager: {memory_format: [contiguous, channels_last], precision: [float32, bfloat16]}
    onnxruntime: {}
"""
COMMAND = """\
name: program
workload: {model: 'command:./bench --mode {mode} --threads {threads}', folder: .}
search: {backend: {command: {mode: [a b, c]}}}
"""


def resolved(folder: Path, hw: Hardware, text: str = SPACE) -> Space:
    folder.joinpath("space.yaml").write_text(text)
    return load(folder / "space.yaml", hw)


def configured(hw: Hardware, backend: str = "torch_eager", batch_size: int = 1, **knobs: Value) -> Config:
    return configs.configure(hw, batch_size=batch_size, backend=backend, options={}, knobs=knobs)


def written(path: Path, config: Config, workload: Space) -> Path:
    """A trial's `spec.json`."""
    path.write_bytes(store.encode(TrialSpec(id=1, workload=workload.workload, config=config, folder="trials/00001")))
    return path


def printed(space: Space, hw: Hardware, config: Config) -> str:
    console = Console(file=io.StringIO(), force_terminal=False, width=40)
    plan.print_to(console, space, hw, config)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
