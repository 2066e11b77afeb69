"""The change that a knob or backend makes to how a worker process is started."""

from __future__ import annotations

from autotune.core.struct import Struct


class LaunchPatch(Struct):
    """Changes to the start of a process: `{cache}` stands for the cache folder, None unsets."""

    env: dict[str, str | None] = {}
    preload: tuple[str, ...] = ()
    argv_prefix: tuple[str, ...] = ()
