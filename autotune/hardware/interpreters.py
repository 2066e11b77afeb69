"""Other Python environments, whose interpreters can run workers: another framework version is a value in the search.

Each is a folder (or a link to one) of `default_folder()`, by its name; `environments create` and `add` put them there.
A worker needs Python 3.10 or newer there, msgspec, numpy and its backend's framework, and nothing of ours is visible
to it but autotune itself.
"""

from __future__ import annotations

import errno
import importlib.metadata
import os
import re
from collections.abc import Sequence
from pathlib import Path

from autotune.core import packages
from autotune.core.errors import PluginError
from autotune.core.machine import Environment, Hardware

NEEDED = ("msgspec", "numpy")
"""The packages that every worker needs beside its framework."""

LEAST_PYTHON = (3, 10)


def default_folder() -> Path:
    """The folder of environments: $AUTOTUNE_ENVIRONMENTS, else in the user's data folder (XDG)."""
    import platformdirs  # which a worker in another environment need not have

    return Path(os.environ.get("AUTOTUNE_ENVIRONMENTS") or platformdirs.user_data_path("autotune") / "environments")


def find(folder: Path) -> dict[str, Environment]:
    """The environments of a folder that can run workers, by name; read from their files, nothing is started."""
    found = {path.name: read(path) for path in sorted(folder.glob("*/"))}
    return {name: environment for name, environment in found.items() if lacking(environment) is None}


def read(prefix: Path) -> Environment:
    """The environment under a prefix (of venv, conda or a plain installation): its newest Python, its packages.

    lib/python3 (Debian's /usr) is of every Python 3 there. Packages that a Python finds elsewhere are not seen, such as
    those of Debian's /usr/local or what a venv has from the Python that it was made with.
    """
    newest = max((_numbers(path.name) for path in prefix.glob("lib/python3.*") if path.is_dir()), default=())
    sites = [path for path in sorted(prefix.glob("lib/python3*/*-packages")) if path.is_dir()]
    own = [str(path) for path in sites if _numbers(path.parent.name) in (newest, newest[:1])]
    return Environment(
        prefix=str(prefix),
        python=".".join(map(str, newest)),
        packages=installed(own, (*packages.named(), *NEEDED)),
    )


def lacking(environment: Environment) -> str | None:
    """Why an environment cannot run workers, with the remedy, or None."""
    if not environment.python:
        return f"there is no Python in {environment.prefix}"
    if not os.access(f"{environment.prefix}/bin/python", os.X_OK):
        return f"there is no bin/python in {environment.prefix}; name the folder of a venv or a conda environment"
    if _numbers(environment.python) < LEAST_PYTHON:
        return f"its Python is {environment.python}; workers need {'.'.join(map(str, LEAST_PYTHON))} or newer"
    missing = [name for name in NEEDED if name not in environment.packages]
    if missing:
        return f"it lacks {' and '.join(missing)}; {environment.prefix}/bin/python -m pip install {' '.join(missing)}"
    return None


def missing(names: Sequence[str], hw: Hardware) -> str | None:
    """The packages that are not installed, with the remedy, or None; PluginError for one that nobody looked for."""
    absent = [name for name in names if name not in hw.packages]
    if unknown := [name for name in absent if name not in packages.named()]:
        raise PluginError(
            f"a plugin needs {', '.join(unknown)}, which no plugin's `packages` or `optional` names; "
            "write it there as a literal string"
        )
    return f"{', '.join(absent)} not installed; pip install {' '.join(absent)}" if absent else None


def installed(path: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The installed versions of packages in some folders, read from their metadata."""
    found: dict[str, str] = {}
    for name in names:
        for distribution in importlib.metadata.distributions(name=name, path=list(path)):
            # A folder that an interrupted uninstallation left has no metadata; `.version` would raise for it.
            version = re.search(r"^Version: (\S+)", distribution.read_text("METADATA") or "", re.MULTILINE)
            if version:
                found.setdefault(name, version[1])
    return found


def link(package: Path, folder: Path) -> None:
    """Make `folder` hold a link to our package, and so nothing else of ours; whoever imports meets the old or the new.

    PermissionError if another user owns the folder, who could put other code there.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if {folder.lstat().st_uid, folder.stat().st_uid} != {os.geteuid()}:
        raise PermissionError(errno.EPERM, f"{folder} belongs to another user", str(folder))
    target = folder / package.name
    if target.is_symlink() and target.resolve() == package.resolve():
        return
    temporary = folder / f".{package.name}-{os.getpid()}"
    temporary.unlink(missing_ok=True)  # of a process with this number that was killed
    temporary.symlink_to(package)
    temporary.replace(target)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
