"""The session of ONNX Runtime as JSON: attributes of SessionOptions and configuration entries, by their own names."""

from __future__ import annotations

import json

from autotune.backends import onnxruntime
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.errors import StudyError
from autotune.report.export.forms import _settings


def text(best: Best) -> str:
    """The session of each worker; StudyError for another backend than onnxruntime."""
    config = best.config
    if config.backend != "onnxruntime":
        raise StudyError(f"onnxruntime runs ONNX models, and the backend is {config.backend}; use shell or docker")
    options = plugins.backend_options("onnxruntime", dict(config.options))
    assert isinstance(options, onnxruntime.Options)
    session = {
        "providers": ["CPUExecutionProvider"],
        "session_options": onnxruntime.attributes(options, config.layout.threads),
        "session_config_entries": onnxruntime.entries(options),
        "batch_size": config.workload.batch_size,
        "workers": [{"cpus": place.cpus} for place in best.layout],
        "environment": _settings.variables(best),
        "unset": _settings.unset(best),
    }
    return json.dumps(session, indent=2) + "\n"
