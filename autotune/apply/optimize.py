"""Search and load in one call: a torch module goes in, and its fastest configuration comes out, ready to be called.

The study runs in a process of its own, since this one has torch loaded; the model travels as an exported program.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.apply import export_module
from autotune.apply.export_module import Exported
from autotune.apply.load_model import load
from autotune.apply.loaded_model import LoadedModel
from autotune.core.errors import StudyError
from autotune.core.struct import digest
from autotune.hardware import probe
from autotune.launch import process
from autotune.launch.launch_plan import IMPORT_ROOT

BATCH_SIZES = (1, 2, 4, 8, 16)
PR_SET_PDEATHSIG = 1
PROGRAM = ("-m", "autotune")
"""The coordinator, to this Python."""

INTERRUPTED = (130, 143)
NOTHING_KEPT = 4


def optimize(
    model: Any,
    example_inputs: Any,
    *,
    minutes: float = 10.0,
    space: Mapping[str, Any] | None = None,
    objective: str | Sequence[str] = "throughput",
    constraints: Mapping[str, Mapping[str, float]] | None = None,
    studies: str | os.PathLike[str] = "studies",
) -> LoadedModel:
    """Search how to run a torch module on this machine, confirm the winner, and load it; `.best` says what was found.

    `example_inputs` are a tensor, a tuple of them or a dict by name, the batch first: eight rows or more of real data,
    on which answers are compared and int8 is calibrated. `space` is the `search` section of a space file, `objective`
    and `constraints` are its keys of those names. The study and the model's program are kept under `studies`; the same
    call again goes on where the first one stopped. Progress is on the terminal. ModelError if the model cannot be
    handed on to other processes, StudyError if the search ends without a configuration, KeyboardInterrupt on Ctrl-C,
    which keeps what is finished.
    """
    if not 0.1 <= minutes <= 1_000_000:
        raise StudyError(f"minutes is {minutes!r}; allowed: 0.1 to 1,000,000")
    exported = export_module.export(model, example_inputs)
    wanted = {
        "objective": objective if isinstance(objective, str) else list(objective),
        "constraints": {name: dict(limit) for name, limit in (constraints or {}).items()},
        "search": dict(space) if space is not None else search(exported),
    }
    name = f"{_word(type(model).__name__)}-{digest((exported.digest, wanted))[:8]}"
    folder = Path(studies).absolute()
    file = _written(folder / "models" / name, name, exported, wanted)
    study = folder / f"{name}@{probe.probe().instance_type}"
    _search(["--space", str(file), "--name", study.name, "--studies", str(folder), "--minutes", f"{minutes:g}"], study)
    return load(study / "best.json", input_names=exported.names)


def search(exported: Exported) -> dict[str, Any]:
    """The default search space: every runtime with what matters most for it; memory formats concern images."""
    formats = ["contiguous", "channels_last"] if exported.images else ["contiguous"]
    return {
        "batch_size": list(BATCH_SIZES),
        "workers": "auto",
        "threads": "auto",
        "allocator": "auto",
        "huge_pages": "auto",
        "backend": {
            "torch_eager": {"memory_format": formats, "precision": ["float32", "bfloat16"]},
            "torch_compile": {"memory_format": formats, "freezing": [False, True]},
            "onnxruntime": {},
            "openvino": {"precision": ["float32", "int8"]},
        },
    }


def _written(folder: Path, name: str, exported: Exported, wanted: Mapping[str, Any]) -> Path:
    """The space file, beside the model's program; both stay as they are for the same model and wishes."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        program, file = folder / "model.pt2", folder / "space.yaml"
        if not program.exists():
            exported.save(program)
        content = {"name": name, "workload": {"model": f"exported:{program}"}, **wanted}
        file.write_text(json.dumps(content, indent=2) + "\n")  # JSON is YAML
        return file
    except OSError as error:
        raise StudyError(f"{folder} cannot be written: {error.strerror or error}; name another in `studies`") from error


def _search(arguments: Sequence[str], study: Path) -> None:
    """The coordinator in a process of its own, which ends when this one does; StudyError if it finds nothing."""
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (IMPORT_ROOT, env.get("PYTHONPATH"))))
    prctl = ctypes.CDLL(None).prctl
    running = process.program(
        [sys.executable, *PROGRAM, *arguments], env, lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    )
    try:
        status = running.wait()
    except BaseException:  # Ctrl-C is told to this process alone
        running.send_signal(signal.SIGINT)
        running.wait()
        raise
    if status in INTERRUPTED:
        raise KeyboardInterrupt
    if status == NOTHING_KEPT:
        shown = f"python -m autotune show {shlex.quote(str(study))}"
        raise StudyError(f"no configuration was found to run and keep the constraints; raise minutes, or see `{shown}`")
    if status != 0:
        raise StudyError(f"the search ended with exit status {status}; what it said is above")


def _word(name: str) -> str:
    """A class's name as a study may be called."""
    return re.sub(r"[^A-Za-z0-9]", "", name) or "model"
