"""An environment file as `docker run --env-file` and `kubectl create configmap --from-env-file` read it.

Nothing is quoted in it: a value goes on to the end of its line.
"""

from __future__ import annotations

from autotune.core.best import Best
from autotune.report.export.forms import _settings


def text(best: Best) -> str:
    """NAME=value lines; StudyError if a value has a line break."""
    lines = [f"{name}={value}" for name, value in _settings.one_line(best, "env").items()]
    absent = [f"{name} must not be set" for name in _settings.unset(best)]
    places = [f"worker {rank}: CPUs {_settings.cpus(place)}" for rank, place in enumerate(best.layout)]
    return "\n".join([*_settings.heading(best), *_settings.comment(*absent, *places), *lines, ""])
