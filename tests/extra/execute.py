"""Runs trials, asked for as JSON on stdin, in a process of its own; prints as JSON what came of them."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from autotune.launch.machine import Machine
from autotune.results import Block, TrialResult
from autotune.rules import MeasureRules
from autotune.types import Hardware, Struct, TrialSpec


class Ask(Struct):
    """Trials with their rules and the best rate so far."""

    hardware: Hardware
    root: str
    cache: str
    trials: list[tuple[TrialSpec, MeasureRules, float | None]]


class Told(Struct):
    """Their results, what the observer was told, and the modules that this process has then imported."""

    results: list[TrialResult]
    preparing: list[str]
    measured: list[tuple[int, int]]
    modules: list[str]


class Listener:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.blocks: list[tuple[int, int]] = []

    def started(self, spec: TrialSpec) -> None: ...
    def ended(self, result: TrialResult) -> None: ...

    def preparing(self, what: str) -> None:
        self.prepared.append(what)

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        self.blocks.append((spec.id, len(blocks)))


def main() -> None:
    ask = msgspec.json.decode(sys.stdin.buffer.read(), type=Ask)
    listener = Listener()
    machine = Machine(ask.hardware, Path(ask.root), Path(ask.cache), listener)
    results = [machine.execute(*trial) for trial in ask.trials]
    told = Told(results=results, preparing=listener.prepared, measured=listener.blocks, modules=sorted(sys.modules))
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
