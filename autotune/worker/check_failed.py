"""The error that ends a trial when a check fails; apart from the checks, whose numpy must come after pinning."""

from __future__ import annotations

from autotune.core.results import Status


class CheckFailed(Exception):
    """A loaded configuration whose settings did not take effect, or whose outputs are wrong; with its status."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
