"""Workers and a canary that answer at once, as a test wrote it down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from autotune.core.protocol import Command, Measure, Measured, Reply
from autotune.core.results import Canary
from autotune.core.rules import MeasureRules
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor

BATCH = 4


class Scripted:
    """For each block the rate of every worker (samples/s), the last block for ever; `story` says what was done."""

    def __init__(self, *blocks: float | tuple[float, ...]) -> None:
        self.script = [block if isinstance(block, tuple) else (block,) for block in blocks]
        self.commands: list[Measure] = []
        self.sent_ns: list[int] = []
        self.timeouts_s: list[float] = []
        self.story: list[str] = []
        self.pids: list[int] = []

    def __len__(self) -> int:
        return len(self.script[0])

    def send(self, command: Command) -> None:
        assert isinstance(command, Measure)
        self.commands.append(command)
        self.sent_ns.append(time.monotonic_ns())
        self.story.append("send")

    def gather(self, timeout_s: float, doing: str) -> list[Reply]:
        assert doing == "measuring a block"
        self.timeouts_s.append(timeout_s)
        rates = self.script[min(len(self.timeouts_s), len(self.script)) - 1]
        window_s = (self.commands[-1].stop_ns - self.commands[-1].start_ns) / 1e9
        shares = [rate * window_s for rate in rates]
        return [Measured(items=items, calls=int(items // BATCH), cpu_ns=10 + rank) for rank, items in enumerate(shares)]

    def pause(self) -> None:
        self.story.append("pause")


class SpeedSensor:
    """A canary whose parts are all the next of these figures, the last one for ever; None is no canary."""

    def __init__(self, *speeds: float | None, workers: Scripted | None = None) -> None:
        self.speeds = speeds or (None,)
        self.failure: str | None = None
        self.workers = workers
        self.asked: list[tuple[tuple[int, ...], float]] = []

    def sense(self, cpus: Sequence[int], seconds: float) -> Canary | None:
        self.asked.append((tuple(cpus), seconds))
        if self.workers is not None:
            self.workers.story.append("look")
        speed = self.speeds[min(len(self.asked), len(self.speeds)) - 1]
        return None if speed is None else Canary(cores=len(cpus), compute=speed, memory=speed, scalar=speed)


def bench(workers: Scripted, rules: MeasureRules, sensor: SpeedSensor | None = None) -> BlockRunner:
    """On a machine that tells nothing of itself."""
    monitor = InterferenceMonitor((0,), sensor or SpeedSensor(), rules, root=Path("/nowhere"))
    return BlockRunner(workers, BATCH, monitor, rules)
