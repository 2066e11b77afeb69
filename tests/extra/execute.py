"""Runs trials and runs, asked for as JSON on stdin, in a process of its own; prints as JSON what came of them."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Literal

import msgspec

from autotune.core.machine import Hardware
from autotune.core.results import Block, InterleavedRun, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.struct import Struct
from autotune.launch.local_executor import LocalExecutor

NO_SUCH_CPU = 4000


class Ask(Struct):
    """Trials with their rules and the best rate so far, runs with theirs; `canary` says what befalls it first.

    Of what is to be sustained also the rate and the seconds.
    """

    hardware: Hardware
    root: str
    cache: str
    trials: list[tuple[TrialSpec, MeasureRules, float | None]]
    runs: list[tuple[InterleavedSpec, MeasureRules]] = []
    sustains: list[tuple[TrialSpec, MeasureRules, float, float]] = []
    canary: Literal["fine", "killed", "not_pinned"] = "fine"


class Told(Struct):
    """Their results, what the observer was told, and the modules that this process has then imported."""

    results: list[TrialResult]
    runs: list[InterleavedRun | None]
    sustained: list[Sustained]
    preparing: list[str]
    measured: list[tuple[int, int]]
    rounds: list[tuple[int, int]]
    canary_failure: str | None
    modules: list[str]


class Listener:
    """An Observer that keeps what it is told."""

    def __init__(self) -> None:
        self.prepared: list[str] = []
        self.blocks: list[tuple[int, int]] = []
        self.rounds: list[tuple[int, int]] = []
        self.holders: list[str] = []

    def started(self, spec: TrialSpec) -> None: ...
    def ended(self, result: TrialResult) -> None: ...
    def confirming(self, what: str, seconds: float, claims: bool = False) -> None: ...
    def notice(self, line: str) -> None: ...

    def waiting(self, holder: str) -> None:
        self.holders.append(holder)

    def preparing(self, what: str) -> None:
        self.prepared.append(what)

    def measured(self, spec: TrialSpec, blocks: tuple[Block, ...]) -> None:
        self.blocks.append((spec.id, len(blocks)))

    def interleaving(self, spec: InterleavedSpec, number: int) -> None:
        self.rounds.append((spec.number, number))


def main() -> None:
    ask = msgspec.json.decode(sys.stdin.buffer.read(), type=Ask)
    listener = Listener()
    with LocalExecutor(ask.hardware, Path(ask.root), Path(ask.cache), listener) as machine:
        if ask.canary == "killed":
            os.kill(machine.canary._workers.pids[0], signal.SIGKILL)
        if ask.canary == "not_pinned":
            machine.canary.sense([NO_SUCH_CPU], 0.01)
        results = [machine.execute(*trial) for trial in ask.trials]
        runs = [machine.interleave(*run) for run in ask.runs]
        sustained = [machine.sustain(*sustain) for sustain in ask.sustains]
        failure = machine.canary.failure
    told = Told(
        results=results,
        runs=runs,
        sustained=sustained,
        preparing=listener.prepared,
        measured=listener.blocks,
        rounds=listener.rounds,
        canary_failure=failure,
        modules=sorted(sys.modules),
    )
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main()
