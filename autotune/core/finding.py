"""What the check of a model before its first trial found: kept with the reference outputs, one line each for people."""

from __future__ import annotations

from typing import Literal

from autotune.core.struct import Struct


class Finding(Struct):
    """A property of a model that its user should know: what it is, where, and what to write instead.

    An `error` ends a study before its first trial; a `notice` is said, and the study goes on.
    """

    what: str
    instead: str
    where: str | None = None
    severity: Literal["error", "notice"] = "notice"

    @property
    def line(self) -> str:
        """`the model changes its input 0 in place (net.py, line 3: x.div_(255)); write x = x / 255`."""
        place = f" ({self.where})" if self.where else ""
        return f"{self.what}{place}; {self.instead}"
