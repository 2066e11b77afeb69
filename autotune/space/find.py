"""Space files by path, or by name among those that come with autotune."""

from __future__ import annotations

from pathlib import Path

from autotune.core.errors import SpaceError, did_you_mean

SHIPPED = (Path(__file__).parents[1] / "search_spaces", Path(__file__).parents[2] / "search_spaces")
"""The folders where shipped files may be: the first one when installed, the second in a checkout."""


def find(name: str | Path) -> Path:
    """A space file by its path or, among the shipped ones, by its name with or without `.yaml`; else SpaceError."""
    path = Path(name)
    if path.exists() and not path.is_dir():
        return path
    files = {file.stem: file for file in shipped()}
    wanted = str(name).removesuffix(".yaml")
    if wanted in files:
        return files[wanted]
    near = did_you_mean(wanted, files)
    known = "" if near.startswith("; allowed") else f" shipped: {', '.join(files)}"
    raise SpaceError(f"no space {str(name)!r}, neither a file nor shipped{near.replace('allowed', 'shipped')}{known}")


def shipped() -> tuple[Path, ...]:
    """The space files that come with autotune, sorted; in a checkout they lie beside the package."""
    folder = next((folder for folder in SHIPPED if folder.is_dir()), SHIPPED[0])
    return tuple(sorted(folder.rglob("*.yaml")))
