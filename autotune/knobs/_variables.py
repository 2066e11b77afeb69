"""The environment that this process was started with: what libraries read before any of our code ran."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def started(root: Path = Path("/")) -> dict[str, str]:
    """The variables at the process's start; OSError if the kernel does not show them."""
    entries = (root / "proc/self/environ").read_text(errors="surrogateescape").split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def tunables(root: Path = Path("/")) -> list[str]:
    """The settings of GLIBC_TUNABLES at the start; OSError as `started`.

    glibc (2.36) cuts the list up where it stands, so that all but the first look like variables of their own.
    """
    environ = started(root)
    others = [f"{name}={value}" for name, value in environ.items() if name.startswith("glibc.")]
    return [part for part in environ.get("GLIBC_TUNABLES", "").split(":") if part] + others


def mismatch(expected: Mapping[str, str | None], root: Path = Path("/")) -> str | None:
    """Why the process was not started with these values (None: unset), or None."""
    try:
        environ = started(root)
    except OSError as error:
        return f"the environment cannot be proven: {error}"
    for name, value in expected.items():
        if environ.get(name) != value:
            return f"{name} was {environ.get(name, 'not set')} at the start, not {value or 'unset'}"
    return None
