"""Proof that a loaded configuration's settings took effect: its layout, its knobs, its backend's options."""

from __future__ import annotations

from autotune.core import plugins
from autotune.core.config import Config
from autotune.core.interfaces import Session
from autotune.core.machine import Hardware
from autotune.core.results import Status
from autotune.knobs import layout
from autotune.worker.check_failed import CheckFailed


def check(session: Session, config: Config, hw: Hardware, cpus: tuple[int, ...]) -> None:
    """CheckFailed with not_applied, naming the setting, unless every knob and the backend prove theirs.

    `cpus` are those that the worker was given, which no thread of it may leave.
    """
    if astray := layout.reach() - set(cpus):
        raise CheckFailed(Status.NOT_APPLIED, f"layout: a thread of the worker may also run on CPUs {sorted(astray)}")
    backend = plugins.load("backends", config.backend)
    options = plugins.backend_options(config.backend, dict(config.options))
    reasons = [(name, plugins.load("knobs", name).applied(value, hw)) for name, value in config.knobs.items()]
    for name, reason in [*reasons, (config.backend, backend.applied(session, options, config))]:
        if reason is not None:
            raise CheckFailed(Status.NOT_APPLIED, f"{name}: {reason}")
