"""One interleaved run: several configurations started together, then measured in turn, a block of each in every round.

While one is measured the others are stopped (SIGSTOP), so that even a runtime that spins leaves the cores alone. Two
neighbouring blocks see nearly the same machine: their ratio is free of all drift that lasts longer than a round.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autotune.analysis import latency
from autotune.core.config import Config
from autotune.core.results import Block, Candidate, InterleavedRun, Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.launch import fidelity, process_tree, quota
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor, SpeedSensor
from autotune.launch.loading import Loaded, WorkerContext, loading
from autotune.launch.worker_pool import WorkerFailed
from autotune.models.artifact_cache import PreparationFailed


def run(
    context: WorkerContext, sensor: SpeedSensor, spec: InterleavedSpec, rules: MeasureRules, folder: Path
) -> InterleavedRun | None:
    """Measure the configurations of `spec` in `folder`; whatever fails is the error of its candidate.

    Where they are measured one by one and the time ends, those that are left have no candidate. None if the time was
    over before there was a first round.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        result = _Run(context, sensor, spec, rules, folder).run()
    except WorkerFailed as failed:
        if failed.status is Status.INTERRUPTED:
            return None
        raise
    return result if any(candidate.blocks or candidate.error for candidate in result.candidates.values()) else None


@dataclass
class _Participant:
    """One configuration of the run: its workers, its blocks, and the CPU time that it used while stopped."""

    loaded: Loaded
    bench: BlockRunner
    blocks: list[Block] = field(default_factory=list)
    idle_ns: int = 0
    paused_at: tuple[float, int] | None = None
    paused_s: float = 0.0

    def block(self) -> None:
        """The next block; the time since the last one was idle."""
        if self.paused_at is not None:
            since, used = self.paused_at
            self.paused_s += time.monotonic() - since
            self.idle_ns += process_tree.run_ns(self.loaded.workers.pids) - used
        self.blocks.append(self.bench.block())
        self.paused_at = time.monotonic(), process_tree.run_ns(self.loaded.workers.pids)

    @property
    def idle_share(self) -> float | None:
        """The part of a core that it used while others were measured; None where it never waited."""
        return self.idle_ns / 1e9 / self.paused_s if self.paused_s else None


@dataclass
class _Run:
    context: WorkerContext
    sensor: SpeedSensor
    spec: InterleavedSpec
    rules: MeasureRules
    folder: Path
    candidates: dict[str, Candidate] = field(default_factory=dict)
    participants: dict[str, _Participant] = field(default_factory=dict)
    start_s: float = 0.0
    begin: float = field(default_factory=time.monotonic)

    def run(self) -> InterleavedRun:
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        names = list(self.spec.configs)
        random.Random(f"{self.spec.order}/{self.spec.number}").shuffle(names)
        if self.spec.together:
            self._measure(names)
        else:
            self._one_by_one(names)
        return InterleavedRun(
            spec=self.spec,
            candidates={name: self.candidates[name] for name in self.spec.configs if name in self.candidates},
            start_s=self.start_s,
            wall_s=time.monotonic() - self.begin,
            started=started,
            fingerprint=self.context.hardware.fingerprint,
        )

    def _one_by_one(self, names: list[str]) -> None:
        """Each by itself, in its share of the time; what is finished when the time ends is kept."""
        for position, name in enumerate(names, start=1):
            try:
                self._measure([name], position / len(names))
            except WorkerFailed as error:
                if error.status is not Status.INTERRUPTED or not self.candidates:
                    raise
                return

    def _measure(self, names: list[str], share: float = 1.0) -> None:
        """Start these, warm each up with a block that does not count, go through the rounds, end them.

        No further round begins after that share of the time.
        """
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            self._start(names, stack)
            warmup = {}
            for name, participant in list(self.participants.items()):
                with self._unless_it_fails(name):
                    warmup[name] = (participant.bench.warm(),)
            self.start_s += time.monotonic() - begin
            self._rounds(share)
            for name, participant in list(self.participants.items()):
                with self._unless_it_fails(name):
                    config = self.spec.configs[name]
                    flags = quota.flags(config, self.context.hardware)
                    self.candidates[name] = _candidate(config, participant, warmup[name], flags, self.folder / name)
            self.participants.clear()

    def _start(self, names: list[str], stack: contextlib.ExitStack) -> None:
        """All load side by side; those that come up are stopped and take part."""
        loading_: dict[str, Loaded] = {}
        for name in names:
            with self._unless_it_fails(name):
                loading_[name] = stack.enter_context(self._load(name))
        cpus = tuple(sorted({cpu for loaded in loading_.values() for cpu in loaded.cpus}))
        monitor = InterferenceMonitor(cpus, self.sensor, self.rules)
        for name, loaded in loading_.items():
            with self._unless_it_fails(name):
                config = self.spec.configs[name]
                bench = BlockRunner(loaded.workers, config.workload.batch_size, monitor, self.rules)
                bench.over_quota = quota.exceeded(config, self.context.hardware)
                self.participants[name] = _Participant(loaded, bench)
                loaded.wait()
                self.participants[name].bench.run_s = loaded.call_s
                loaded.workers.deadline = None  # a round that has begun is ended
                loaded.workers.pause()

    def _load(self, name: str) -> contextlib.AbstractContextManager[Loaded]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        spec = TrialSpec(
            id=self.spec.number,
            workload=self.spec.workload,
            config=self.spec.configs[name],
            folder=f"{self.spec.folder}/{name}",
        )
        deadline = None if self.spec.limit_s is None else self.begin + self.spec.limit_s
        return loading(self.context, spec, self.rules, folder, deadline)

    def _rounds(self, share: float) -> None:
        limit_s = math.inf if self.spec.limit_s is None else self.spec.limit_s * share
        for number in range(self.spec.rounds):
            if time.monotonic() - self.begin > limit_s:
                return
            self.context.observer.interleaving(self.spec, number)
            order = list(self.participants)
            random.Random(f"{self.spec.order}/{self.spec.number}/{number}").shuffle(order)
            for name in order:
                with self._unless_it_fails(name):
                    self.participants[name].block()

    @contextlib.contextmanager
    def _unless_it_fails(self, name: str) -> Iterator[None]:
        """A failure takes one configuration out, with its reason, and stops what is left of its processes."""
        try:
            yield
        except (WorkerFailed, PreparationFailed) as error:
            if isinstance(error, WorkerFailed) and error.status is Status.INTERRUPTED:
                raise
            if isinstance(error, PreparationFailed):
                (self.folder / name / "stderr.log").write_text(error.log)
            participant = self.participants.pop(name, None)
            if participant is not None:
                participant.loaded.workers.pause()
            blocks = tuple(participant.blocks) if participant is not None else ()
            self.candidates[name] = Candidate(config=self.spec.configs[name], blocks=blocks, error=str(error))


def _candidate(
    config: Config, participant: _Participant, warmup: tuple[Block, ...], flags: tuple[str, ...], folder: Path
) -> Candidate:
    """The candidate of a configuration that was measured, its workers ended; `flags` come before the workers' own."""
    loaded = participant.loaded
    peak_rss_bytes = loaded.finish()
    calls = [latency.merge([latency.load_rows(folder, {block.number})]) for block in participant.blocks]
    return Candidate(
        config=config,
        blocks=tuple(participant.blocks),
        warmup=warmup,
        repeated=tuple(participant.bench.repeated),
        setup_s=loaded.setup_s,
        peak_rss_bytes=peak_rss_bytes,
        latencies=tuple(None if one is None else one.summary() for one in calls),
        idle_share=participant.idle_share,
        flags=(*flags, *loaded.flags),
        fidelity=fidelity.worst([answer.fidelity for answer in loaded.ready]),
        accuracy=loaded.accuracy,
        artifact=loaded.artifact,
        versions=loaded.ready[0].versions,
    )
