"""The child's end of the two pipes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import msgspec

from autotune.core.protocol import Building, Command, Reply


class Channel:
    """Reads commands and writes replies, one JSON object a line."""

    def __init__(self, commands: int, replies: int) -> None:
        self._commands = os.fdopen(commands, "rb")
        self._replies = os.fdopen(replies, "wb", buffering=0)
        self._builds = False

    def receive(self) -> Command | None:
        """The next command; None once the coordinator closed its end."""
        line = self._commands.readline()
        return msgspec.json.decode(line, type=Command) if line else None

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """The user's code runs within; where it fails nothing says that it is done, so that the failure is its own."""
        if self._builds:
            yield
            return
        self._builds = True
        self.send(Building())
        try:
            yield
        finally:
            self._builds = False
        self.send(Building(done=True))

    def send(self, reply: Reply | Building) -> None:
        """One reply, at once."""
        self._replies.write(msgspec.json.encode(reply) + b"\n")
