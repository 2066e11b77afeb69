"""`config.json` of OpenVINO Model Server, for a server a worker; JSON has no comments, docs/export.md explains."""

from __future__ import annotations

import json

from autotune.backends import openvino
from autotune.core import plugins
from autotune.core.best import Best
from autotune.core.errors import StudyError
from autotune.report.export.forms import _settings


def text(best: Best) -> str:
    """The model with the properties that it was compiled with; StudyError for another backend than openvino."""
    config = best.config
    if config.backend != "openvino":
        raise StudyError(f"ovms runs OpenVINO models, and the backend is {config.backend}; use shell or docker")
    options = plugins.backend_options("openvino", dict(config.options))
    assert isinstance(options, openvino.Options)
    name = _settings.label(best)
    served = {
        "name": name,
        "base_path": f"/models/{name}",
        "target_device": "CPU",
        "nireq": options.requests,
        "plugin_config": openvino.settings(options, config.layout.threads),
    }
    return json.dumps({"model_config_list": [{"config": served}]}, indent=2) + "\n"
