"""Layouts of more threads than the CPU quota of our control group keeps busy: they are throttled wherever they run."""

from __future__ import annotations

from autotune.core.config import Config
from autotune.core.machine import Hardware


def exceeded(config: Config, hw: Hardware) -> bool:
    """True if the threads of all workers together want more CPU time than the quota gives."""
    return hw.cpu_quota is not None and _threads(config) > hw.cpu_quota


def flags(config: Config, hw: Hardware) -> tuple[str, ...]:
    """`over_quota: 2 threads share a quota of 1.5 CPUs`, where that is so."""
    return (
        (f"over_quota: {_threads(config)} threads share a quota of {hw.cpu_quota:g} CPUs",)
        if exceeded(config, hw)
        else ()
    )


def _threads(config: Config) -> int:
    return config.layout.workers * config.layout.threads
