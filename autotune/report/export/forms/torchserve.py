"""`config.properties` of TorchServe, with its CPU launcher (torch.backends.xeon.run_cpu) for the pinning."""

from __future__ import annotations

import json

from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.errors import StudyError
from autotune.report.export.forms import _settings

DELAY_MS = 100
"""The time for which TorchServe waits for a batch to fill, by default."""


def text(best: Best) -> str:
    """Properties, and as comments the environment to start it with; StudyError for a backend without torch."""
    config = best.config
    if "torch" not in plugins.load("backends", config.backend).packages:
        raise StudyError(f"torchserve runs torch models, and the backend is {config.backend}; use shell or docker")
    name, workers = _settings.label(best), len(best.layout)
    serving = best.workload.serving
    model = {
        "defaultVersion": True,
        "marName": f"{name}.mar",
        "minWorkers": workers,
        "maxWorkers": workers,
        "batchSize": config.workload.batch_size,
        "maxBatchDelay": DELAY_MS if serving is None else round(serving.queue_delay_ms),
        "responseTimeout": 120,
    }
    options = ", ".join(f"{option} {value}" for option, value in config.options.items())
    said = [
        f"the handler in {name}.mar has to load the model as measured: {config.backend} with {options or 'no options'}",
        "start torchserve with this environment (the form `env` is a file of it):",
        *(f"{name}={value}" for name, value in _settings.variables(best).items()),
        *(f"{name} must not be set" for name in _settings.unset(best)),
    ]
    lines = [f"load_models={name}.mar", f"models={json.dumps({name: {'1.0': model}})}"]
    if best.hardware.architecture == "x86_64":
        cores = ",".join(_settings.cpus(place) for place in best.layout)
        # By itself it would preload tcmalloc and Intel's OpenMP, whatever was measured.
        chosen = f"--core-list {cores} --use-default-allocator --disable-iomp"
        lines += ["cpu_launcher_enable=true", f"cpu_launcher_args={chosen}"]
    else:
        said.append("its CPU launcher knows Intel's processors only: workers are not pinned")
    return "\n".join([*_settings.heading(best), *_settings.comment(*said), *lines, ""])
