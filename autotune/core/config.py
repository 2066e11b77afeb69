"""A configuration: one point in the search space, and where its workers run."""

from __future__ import annotations

import re

from autotune.core.machine import OWN
from autotune.core.struct import Struct, Value, digest


class Layout(Struct):
    """Workers and threads per worker; written `2x1` wherever people or samplers see it."""

    workers: int
    threads: int

    @classmethod
    def parse(cls, text: str) -> Layout:
        """`"2x1"` -> Layout; ValueError for anything else."""
        found = re.fullmatch(r"([1-9][0-9]*)x([1-9][0-9]*)", text)
        if found is None:
            raise ValueError(f"a layout is written WORKERSxTHREADS, such as 2x1; got {text!r}")
        return cls(workers=int(found[1]), threads=int(found[2]))

    def __str__(self) -> str:
        return f"{self.workers}x{self.threads}"


class Placement(Struct):
    """The place of one worker: the CPUs it is pinned to, its thread count, its NUMA node."""

    cpus: tuple[int, ...]
    threads: int
    node: int | None = None


class WorkloadSettings(Struct):
    """The part of a configuration that shapes the work itself."""

    batch_size: int


class Config(Struct):
    """A point in the space, canonical: every option of its backend and every knob has a value."""

    workload: WorkloadSettings
    backend: str
    options: dict[str, Value]
    knobs: dict[str, Value]

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """A digest that is equal exactly when two configurations are."""
        return digest(self)

    @property
    def layout(self) -> Layout:
        return Layout.parse(str(self.knobs["layout"]))

    @property
    def interpreter(self) -> str:
        """The name of the environment whose Python runs the workers."""
        return str(self.knobs.get("interpreter", OWN))
