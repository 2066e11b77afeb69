"""A paired comparison: interleaved runs of some configurations until a stopping rule ends it or the time is used up.

Every interleaved run is on disk before the next begins, so that a comparison goes on where it was interrupted.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.core.config import Config
from autotune.core.executor import Executor
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import digest
from autotune.core.workload_spec import WorkloadSpec
from autotune.study.confirm import outcomes, provenance, schedule
from autotune.study.confirm.schedule import Keep
from autotune.study.storage import store

FOLDER = "confirmation"
FILE = "sitting.json"


@dataclass(frozen=True)
class PairedComparison:
    """The configurations to compare by name, on a study's folder; the folder of their runs bears `name`."""

    name: str
    root: Path
    hardware: Hardware
    workload: WorkloadSpec
    configs: Mapping[str, Config]
    rules: MeasureRules
    confirm: ConfirmRules
    objective: str = "throughput"
    joined: bool = False

    @property
    def folder(self) -> str:
        """The runs' folder relative to the study; another question has another one.

        With `joined` it is the same for all configurations, whose names then tell them apart in any comparison.
        """
        question = [self.workload] if self.joined else [self.workload, dict(self.configs)]
        return f"{FOLDER}/{self.name}-{digest(question)[:8]}"

    def runs(self) -> list[InterleavedRun]:
        """The runs on disk that were made on this machine with the package versions of today, in order."""
        return provenance.comparable(self._on_disk(), self.hardware)[0]

    def left_out(self) -> str | None:
        """A line that says how many runs on disk cannot be used any more, and why; None if all can."""
        return provenance.comparable(self._on_disk(), self.hardware)[1]

    def next_number(self) -> int:
        """The first number that no run on disk has."""
        taken = {int(path.parent.name) for path in self._files()}
        return next(number for number in itertools.count(1) if number not in taken)

    def _on_disk(self) -> list[InterleavedRun]:
        advice = "delete it, and the interleaved run is made again"
        return [store.decode(path, InterleavedRun, advice) for path in self._files()]

    def _files(self) -> list[Path]:
        return sorted((self.root / self.folder).glob(f"*/{FILE}"))


def compare(
    paired: PairedComparison,
    executor: Executor,
    keep: Keep,
    seconds: float,
    limit_s: float,
    together: bool,
    clock: Callable[[], float] = time.monotonic,
    before: Sequence[InterleavedRun] = (),
) -> list[InterleavedRun]:
    """Measure until `keep` names fewer than two or the seconds are used up; all runs, those of earlier starts included.

    For the runs that a claim needs it may go on to `limit_s`, with the fewest rounds that a run may have. `before` are
    runs of another comparison, by whose times the first run is planned.
    """
    begin = clock()
    runs = paired.runs()
    for _ in range(paired.confirm.most_runs):
        kept = keep(runs)
        names = [name for name in paired.configs if name in kept and not outcomes.failed(runs, name)]
        if len(names) < 2:
            break
        used_s = clock() - begin
        rounds = schedule.rounds(runs, before, names, seconds - used_s, limit_s - used_s, paired.confirm)
        if rounds is None:
            break
        run = another(paired, executor, runs, names, rounds, limit_s - used_s, together=together)
        if run is None:  # the time ended while it was started
            break
        runs = sorted([*runs, run], key=lambda one: one.spec.number)
    return runs


def another(
    paired: PairedComparison,
    executor: Executor,
    runs: Sequence[InterleavedRun],
    names: Sequence[str],
    rounds: int,
    limit_s: float,
    *,
    together: bool = True,
) -> InterleavedRun | None:
    """One more run of these candidates, on disk; None if the seconds ended before its first round."""
    number = paired.next_number()
    spec = InterleavedSpec(
        number=number,
        workload=paired.workload,
        configs={name: paired.configs[name] for name in names},
        rounds=rounds,
        order=f"{paired.workload.seed}/{paired.name}",
        folder=f"{paired.folder}/{number:04d}",
        together=together and not schedule.spins(runs, paired.confirm),
        limit_s=limit_s,
        objective=paired.objective,
    )
    run = executor.interleave(spec, paired.rules)
    if run is not None:
        write_atomically(paired.root / spec.folder / FILE, store.encode(run))
    return run
