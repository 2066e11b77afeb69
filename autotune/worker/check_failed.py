"""How a check in the child ends a trial; apart from the checks, which need numpy, so that pinning can come first."""

from __future__ import annotations

from autotune.core.results import Status


class CheckFailed(Exception):
    """A configuration that loaded but is not what was asked for, or answers wrongly."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
