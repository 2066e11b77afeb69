"""An Executor that replays a space that was measured whole, on a simulated clock: no process is started.

A trial and a candidate of an interleaved run take the time that was recorded. The log rate of a block is the sum of

- the configuration's mean over all its recorded blocks, corrected by the canary: the truth;
- how far one of its launches was from that; of a configuration that was launched once, one of another's;
- how far the block was from its launch's mean, in their order, in a circle from a random one on;
- the machine's drift, which the recorded canaries show, played from a random moment on: all that runs at the same time
  meets the same drift, with the canary that showed it.

What is started side by side starts on the machine's cores together.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
from recorded import Row
from replay import Key, Own, key, launches, spent

from autotune.analysis import constraints, drift
from autotune.core.config import Config
from autotune.core.executor import Checked
from autotune.core.results import ArtifactRef, Block, Canary, Candidate, InterleavedRun, Status, Sustained, TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.core.workload_spec import WorkloadSpec
from autotune.launch import measure
from autotune.launch.blocks import BlockRunner
from autotune.study.model import suggest
from autotune.study.storage import store


class _Drift:
    """The machine's drift as the recorded canaries show it, in a circle from a random moment on."""

    def __init__(self, replay: Own, dice: random.Random) -> None:
        blocks = [block for row in replay.rows.values() for launch in launches(row) for block in launch]
        seen = sorted((block for block in blocks if block.canary is not None), key=lambda block: block.start_ns)
        self.correction = replay.rules.correction
        self.canaries = [block.canary for block in seen if block.canary is not None]
        plain = drift.corrected(seen, self.correction)
        self.logs = [math.log(block.rate / rate) for block, rate in zip(seen, plain, strict=True)]
        steps = [min(later.start_ns - one.start_ns, LONGEST_GAP_NS) / 1e9 for one, later in itertools.pairwise(seen)]
        self.times = [0.0, *itertools.accumulate(steps)]
        self.begin = dice.uniform(0.0, self.times[-1])

    def at(self, now: float, noise: float) -> tuple[float, Canary | None]:
        """The log factor at a time (s) and the canary that shows it, both `noise` times as far from the middle."""
        if not self.canaries:
            return 0.0, None
        place = bisect.bisect_right(self.times, (self.begin + now) % self.times[-1]) - 1
        canary = self.canaries[place]
        middle = self.correction.centres[canary.cores]
        parts = {
            name: math.exp(middle[name]) * (part / math.exp(middle[name])) ** noise
            for name, part in canary.parts.items()
        }
        return noise * self.logs[place], Canary(cores=canary.cores, **parts)


class OutOfTime(Exception):
    """A trial's limit was reached."""


@dataclass(frozen=True)
class MachineKind:
    """A machine that takes `slower` times the recorded time for everything; noise is scaled by `noise`.

    The noise of a block is the difference of its corrected log rate from the configuration's mean over its launches.
    """

    name: str
    slower: float = 1.0
    noise: float = 1.0


OWN = 0.5
"""The part of a launch's deviation that is its own where several run by turns; the rest is the moment's, and shared.

So the log ratios of candidates differ between interleaved runs by about as much as in `studies/example` (0 to 0.08).
"""

LONGEST_GAP_NS = 60e9
"""The time between two recorded blocks counts as no more: the recording had been stopped."""

MACHINES = {
    kind.name: kind
    for kind in (MachineKind("recorded"), MachineKind("slow", slower=2.0), MachineKind("noisy", noise=1.5))
}


@dataclass
class RecordedExecutor:
    """The recorded machine, or one that is slower or noisier; `clock` is its time in seconds."""

    root: Path
    replay: Own
    machine: MachineKind
    dice: random.Random
    now: float = 0.0
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.drift = _Drift(self.replay, self.dice)
        self.launches_away = _launches_away(self.replay)

    def clock(self) -> float:
        """The simulated time."""
        return self.now

    def truth(self, config: Config) -> float | None:
        """The configuration's log rate, the mean over all its recorded blocks.

        None if it does not run or breaks a limit.
        """
        rate = self.replay.truths.get(self._key(config))
        return None if rate is None else rate - math.log(self.machine.slower)

    @property
    def best(self) -> float:
        """The log rate of the best configuration that keeps the limits."""
        return max(self.replay.truths.values()) - math.log(self.machine.slower)

    def check(self, workload: WorkloadSpec, rules: MeasureRules) -> Checked:
        """Nothing is built."""
        return Checked()

    def execute(self, spec: TrialSpec, rules: MeasureRules, incumbent: float | None) -> TrialResult:
        """One recorded launch, measured by the rules of a trial."""
        (self.root / spec.folder).mkdir(parents=True)
        begin, limit_s = self.now, rules.trial_timeout_s or math.inf
        row = self._row(spec.config)
        result = TrialResult(spec=spec, status=row.status, error=row.error, artifact=self._artifact(row))
        self._prepare(row)
        if row.status.measured:
            start_s, _ = spent(row)
            self.wait(start_s)
            result = msgspec.structs.replace(result, setup_s=start_s, fidelity=row.fidelity)
        if row.status.measured and (limit := constraints.broken(rules.answers, result)) is not None:
            result = msgspec.structs.replace(result, status=Status.WRONG_OUTPUT, error=limit.description)
        elif row.status.measured:
            launch = _Launch(self, row, begin + limit_s)
            try:
                found = measure.measure(cast(BlockRunner, launch), rules, incumbent, lambda _: None)
            except OutOfTime:
                result = msgspec.structs.replace(result, status=Status.INTERRUPTED, blocks=tuple(launch.taken))
            else:
                status = Status.REJECTED if found.rejected else Status.OK
                result = msgspec.structs.replace(
                    result,
                    status=status,
                    blocks=found.blocks,
                    warmup=found.warmup,
                )
        else:
            self.wait(max(0.0, row.wall_s - row.prepare_s))
        result = msgspec.structs.replace(result, wall_s=self.now - begin)
        store.write_result(self.root, result)
        return result

    def interleave(self, spec: InterleavedSpec, rules: MeasureRules) -> InterleavedRun | None:
        """A launch of each configuration, then its blocks by turns."""
        (self.root / spec.folder).mkdir(parents=True)
        begin, limit_s = self.now, math.inf if spec.limit_s is None else spec.limit_s
        rows = {name: self._row(config) for name, config in spec.configs.items()}
        for row in rows.values():
            self._prepare(row)
        able = {name: row for name, row in rows.items() if row.status.measured}
        starts = [spent(row)[0] for row in able.values()] or [0.0]
        together = max(*starts, sum(starts) / len(self.replay.hardware.allowed_cpus))
        self.wait(min(limit_s, together if spec.together else sum(starts)))
        if self.now - begin >= limit_s:
            return None
        bench = {name: _Launch(self, row, own=OWN) for name, row in able.items()}
        for launch in bench.values():
            launch.block()
        start_s = self.now - begin
        blocks: dict[str, list[Block]] = {name: [] for name in bench}
        for number in range(spec.rounds):
            if self.now - begin > limit_s:
                break
            order = list(bench)
            random.Random(f"{spec.order}/{spec.number}/{number}").shuffle(order)
            for name in order:
                blocks[name].append(bench[name].block())
        if not any(blocks.values()):
            return None
        return InterleavedRun(
            spec=spec,
            candidates={
                name: Candidate(
                    config=config,
                    blocks=tuple(blocks.get(name, ())),
                    error=None if name in able else rows[name].error or str(rows[name].status),
                    idle_share=0.0,
                    fidelity=rows[name].fidelity,
                    artifact=self._artifact(rows[name]),
                )
                for name, config in spec.configs.items()
            },
            start_s=start_s,
            wall_s=self.now - begin,
            started="",
            fingerprint=self.replay.hardware.fingerprint,
        )

    def sustain(self, spec: TrialSpec, rules: MeasureRules, rate: float, seconds: float) -> Sustained:
        """Requests were not recorded."""
        raise NotImplementedError

    def _key(self, config: Config) -> Key:
        parameters = suggest.parameters(config, self.replay.space.domains, self.replay.hardware)
        assert parameters is not None, f"{config} is not in the recorded space"
        return key(parameters)

    def _row(self, config: Config) -> Row:
        return self.replay.rows[self._key(config)]

    def _artifact(self, row: Row) -> ArtifactRef | None:
        return None if row.artifact is None else ArtifactRef(key=row.artifact, sha256="", bytes=0, prepare_s=0.0)

    def _prepare(self, row: Row) -> None:
        if row.artifact is not None and row.artifact not in self.made:
            self.made.add(row.artifact)
            self.wait(self.replay.prepare_s[row.artifact])

    def wait(self, seconds: float) -> None:
        """Let the time pass that something took as it was recorded."""
        self.now += seconds * self.machine.slower


class _Launch:
    """A bench with the blocks of one launch; `end_s` is when its time ends."""

    def __init__(self, executor: RecordedExecutor, row: Row, end_s: float = math.inf, own: float = 1.0) -> None:
        self.executor, self.end_s = executor, end_s
        self.block_s = spent(row)[1]
        self.taken: list[Block] = []
        noise, dice, replay = executor.machine.noise, executor.dice, executor.replay
        recorded = dice.choice(launches(row))
        logs = [math.log(rate) for rate in drift.corrected(recorded, replay.rules.correction)]
        mean, middle = statistics.fmean(logs), replay.rates[key(row.parameters)]
        away = mean - middle if row.again else dice.choice(executor.launches_away or [0.0])
        self.recorded = itertools.cycle(
            (block, middle + noise * (own * away + log - mean)) for block, log in zip(recorded, logs, strict=True)
        )
        for _ in range(dice.randrange(len(recorded))):
            next(self.recorded)

    def block(self) -> Block:
        """The next block of the circle, as the machine gives it now."""
        executor, slower = self.executor, self.executor.machine.slower
        if executor.now > self.end_s:
            raise OutOfTime
        drift_log, canary = executor.drift.at(executor.now, executor.machine.noise)
        executor.wait(self.block_s)
        block, log = next(self.recorded)
        elapsed_ns = round(block.elapsed_ns * slower)
        found = msgspec.structs.replace(
            block,
            items=math.exp(log + drift_log) / slower * elapsed_ns / 1e9,
            elapsed_ns=elapsed_ns,
            cpu_ns=round(block.cpu_ns * slower),
            canary=canary,
        )
        self.taken.append(found)
        return found


def _launches_away(replay: Own) -> list[float]:
    """The distances of launches from the mean of all launches of their configuration, where there are several.

    Scaled up: the mean of few launches is nearer to each of them than the truth.
    """
    away = []
    for row in replay.rows.values():
        several = launches(row)
        for launch in several if len(several) > 1 else ():
            mean = statistics.fmean(map(math.log, drift.corrected(launch, replay.rules.correction)))
            away.append((mean - replay.rates[key(row.parameters)]) * math.sqrt(len(several) / (len(several) - 1)))
    return away
