"""A study's files as the artifacts of a dashboard: to be read, never to be written or removed."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import BinaryIO, NoReturn

from optuna.artifacts.exceptions import ArtifactNotFound

TYPES = {".json": "application/json", ".log": "text/plain; charset=utf-8"}


class ArtifactFiles:
    """Files under names that cannot be guessed: any page that a browser shows may ask this machine for an artifact."""

    def __init__(self) -> None:
        self.paths: dict[str, Path] = {}
        self.names: dict[Path, str] = {}

    def add(self, path: Path) -> str:
        """The name under which the file is had from now on; a file keeps its name."""
        name = self.names.setdefault(path, str(uuid.uuid4()))
        self.paths[name] = path
        return name

    def attribute(self, name: str) -> tuple[str, str]:
        """The system attribute (key, value) that makes the file an artifact of the trial that bears it."""
        path = self.paths[name]
        found = {"artifact_id": name, "filename": path.name, "mimetype": TYPES[path.suffix], "encoding": None}
        return f"artifacts:{name}", json.dumps(found)

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file; ArtifactNotFound for one that is not there (any more)."""
        try:
            return self.paths[artifact_id].open("rb")
        except (KeyError, OSError) as error:
            raise ArtifactNotFound(artifact_id) from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> NoReturn:
        """Refused with a PermissionError."""
        raise PermissionError("a study's files are only shown")

    def remove(self, artifact_id: str) -> NoReturn:
        """Refused with a PermissionError."""
        raise PermissionError("a study's files are only shown")
