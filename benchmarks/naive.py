"""Against the plain loop that a user would write: who is sooner near the best configuration of `resnet50.yaml`?

The plain loop is Optuna's TPE as it comes over the same choices, and a script a trial (`plain/trial.py`) that imports,
builds, exports or quantises and times 20 + 100 calls, as the articles do; a failure is told as FAIL. Ours is the search
of a study with an empty cache of prepared models. Each has a clock of its own, that stands still while the other runs,
and the one that is behind makes the next trial, so that drift of the machine meets both.

Afterwards the incumbents of both sides and their best trials are measured again in turn. A side is there when its
incumbent has 95 % of the best rate. Prints the seconds of each and their ratio, which must be 1/5 at most; a plain loop
that is not there within its minutes counts as if it were then.

    python benchmarks/naive.py [--minutes 25] [--seed 0] [--trials N] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import optuna
from common import together

from autotune.core.config import Config
from autotune.core.executor import HookedExecutor
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Space
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import Struct
from autotune.hardware import probe
from autotune.launch import environment
from autotune.launch.local_executor import LocalExecutor
from autotune.report.text import formatting
from autotune.space.find import find
from autotune.space.load import load
from autotune.study.confirm import scores
from autotune.study.model import suggest
from autotune.study.ranking import Ranking
from autotune.study.search import driver
from autotune.study.storage import opening, store

SPACE = "resnet50.yaml"
TRIAL = Path(__file__).parent / "plain" / "trial.py"
LOG = "stderr.log"
TRIAL_S = 600.0
"""A trial of the plain loop that takes longer hangs."""

NEAR, LIMIT = 0.95, 1 / 5
RULES = MeasureRules()
SITTINGS, ROUNDS = 4, 6
CONTENDERS = 3
"""So many of each side's best trials are measured again beside its incumbents."""

HOPELESS = 0.5
"""A part of the best rate below which what a side measured is not measured again."""


class Tried(Struct):
    """A configuration, its rate (samples/s; None: it failed) and when that was known, on the side's own clock (s)."""

    config: Config
    rate: float | None
    at_s: float


def main() -> int:
    """Search by turns, measure again, judge; 1 if the ratio is over its limit."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25.0, help="what the plain loop may take by its own clock")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, help="trials of ours; by default the space's budget")
    parser.add_argument("--keep", type=Path, help="where the study, the cache and the raw figures stay afterwards")
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    hw = probe.probe()
    resolved = load(find(SPACE), hw)
    workload = msgspec.structs.replace(resolved.workload, seed=chosen.seed)
    budget = msgspec.structs.replace(resolved.budget, trials=chosen.trials or resolved.budget.trials)
    resolved = msgspec.structs.replace(resolved, workload=workload, budget=budget)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.keep or Path(temporary)).absolute()
        plain = Plain(resolved, hw, chosen.seed, folder / "plain", chosen.minutes * 60)
        with LocalExecutor(hw, folder / "study", folder / "cache", Observer()) as machine:
            ours = Ours(resolved, hw, machine, plain, begin)
            ours.search()
            plain.until(math.inf)
            if not plain.incumbents():
                sys.exit("no trial of the plain loop ran: there is nothing to compare with")
            configs = contenders(ours, plain)
            rates = again(machine, resolved, configs)
            raw = {"ours": ours.tried, "plain": plain.tried, "rates": rates}
            (folder / "raw.json").write_bytes(msgspec.json.encode(raw))
            best = max(rates, key=lambda key: rates[key])
            print(f"the best known: {formatting.configuration(configs[best])}, {rates[best]:.1f}/s")
            return judge(near("ours", ours, rates), near("plain", plain, rates), plain.seconds)


# --------------------------------------------------------------------------------------------------- the plain loop


class Plain:
    """Optuna's TPE with its defaults, a script a trial; `seconds` is its own clock, which ends at `limit_s`."""

    def __init__(self, resolved: Space, hw: Hardware, seed: int, folder: Path, limit_s: float) -> None:
        self.resolved, self.hw, self.folder, self.limit_s = resolved, hw, folder, limit_s
        self.study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self.seconds = 0.0
        self.tried: list[Tried] = []
        folder.mkdir(parents=True)

    def until(self, seconds: float) -> None:
        """Make trials as long as its clock is behind."""
        while self.seconds < min(seconds, self.limit_s):
            begin = time.monotonic()
            trial = self.study.ask()
            config = suggest.suggest(trial, self.resolved.domains, self.hw)
            rate = measured(config, self.hw, self.folder)
            if rate is None:
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
                print("      ", *(self.folder / LOG).read_text(errors="replace").splitlines()[-1:])
            else:
                self.study.tell(trial, rate)
            self.seconds += time.monotonic() - begin
            self.tried.append(Tried(config=config, rate=rate, at_s=self.seconds))
            say_tried("plain", self.tried[-1])

    def incumbents(self) -> list[Tried]:
        """The successive best."""
        found: list[Tried] = []
        for tried in self.tried:
            if tried.rate is not None and tried.rate > max((one.rate or 0.0 for one in found), default=0.0):
                found.append(tried)
        return found


def measured(config: Config, hw: Hardware, folder: Path) -> float | None:
    """Samples per second of all workers of a configuration together; None where one fails or takes too long."""
    temporary = tempfile.TemporaryDirectory(dir=folder)
    env = {**os.environ, "OMP_NUM_THREADS": str(config.layout.threads), "TMPDIR": temporary.name}
    if config.knobs["allocator"] != "system":
        env["LD_PRELOAD"] = hw.libraries[str(config.knobs["allocator"])]
    if config.knobs["huge_pages"]:
        env["THP_MEM_ALLOC_ENABLE"] = "1"
    asked = json.dumps({"backend": config.backend, "batch_size": config.workload.batch_size, **config.options})
    with (folder / LOG).open("w") as log:
        children = [
            subprocess.Popen(
                ["taskset", "-c", ",".join(map(str, placement.cpus)), sys.executable, TRIAL, asked],
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            for placement in environment.placements(config, hw)
        ]
    limit = threading.Timer(TRIAL_S, lambda: [child.kill() for child in children])
    limit.start()
    try:
        return together(children)
    except (RuntimeError, OSError):
        return None
    finally:
        limit.cancel()
        for child in children:
            child.kill()
            child.wait()
        temporary.cleanup()


# ------------------------------------------------------------------------------------------------------------- ours


@dataclass
class Ours:
    """The search of a study, which lets the plain loop catch up before each trial."""

    resolved: Space
    hw: Hardware
    machine: LocalExecutor
    plain: Plain
    begin: float
    tried: list[Tried] = field(default_factory=list)

    def search(self) -> None:
        """From building the model once to the end of the space's budget, without a confirmation."""
        text = find(SPACE).read_text()
        self.machine.check(self.resolved.workload, RULES)
        with opening.opened(self.machine.root, self.resolved, text, self.hw) as study:
            executor = HookedExecutor(self.machine, before=lambda: self.plain.until(self.seconds()), after=self._tried)
            driver.search(study, executor, Observer(), RULES, clock=self.seconds)

    def seconds(self) -> float:
        """Its own clock: what has passed without the plain loop's time."""
        return time.monotonic() - self.begin - self.plain.seconds

    def _tried(self) -> None:
        """Keep the latest trial's rate."""
        result = store.results(self.machine.root)[-1]
        rate = Ranking([result], self.resolved.goal).rate(result) if result.blocks else None
        self.tried.append(Tried(config=result.spec.config, rate=rate, at_s=self.seconds()))
        say_tried("ours", self.tried[-1])

    def incumbents(self) -> list[Tried]:
        """The successive best, each by what was known then."""
        found: list[Tried] = []
        results = store.results(self.machine.root)
        for count, last in enumerate(self.tried, 1):
            ranking = Ranking(results[:count], self.resolved.goal)
            best = ranking.best
            if best is not None and not (found and found[-1].config == best.spec.config):
                found.append(Tried(config=best.spec.config, rate=ranking.rate(best), at_s=last.at_s))
        return found


# -------------------------------------------------------------------------------------------------- measured again


def contenders(ours: Ours, plain: Plain) -> dict[str, Config]:
    """The incumbents of both and their best trials, by key, without those that are hopelessly slow."""
    found = [*ours.incumbents(), *plain.incumbents()]
    for tried in (ours.tried, plain.tried):
        found += sorted(tried, key=lambda one: one.rate or 0.0)[-CONTENDERS:]
    least = HOPELESS * max(one.rate or 0.0 for one in found)
    return {one.config.key: one.config for one in found if (one.rate or 0.0) >= least}


def again(machine: LocalExecutor, resolved: Space, configs: dict[str, Config]) -> dict[str, float]:
    """Their rates (samples/s) in interleaved runs of our launcher, all alive and in turn; what fails there has none."""
    print(f"measuring {len(configs)} configurations again, in turn", flush=True)
    runs = []
    for number in range(1, SITTINGS + 1):
        spec = InterleavedSpec(
            number=number,
            workload=resolved.workload,
            configs=configs,
            rounds=ROUNDS,
            order=str(resolved.workload.seed),
            folder=f"again/{number}",
        )
        run = machine.interleave(spec, RULES)
        assert run is not None, "an interleaved run without a limit ends"
        runs.append(run)
    errors = {name: candidate.error for run in runs for name, candidate in run.candidates.items() if candidate.error}
    for name, error in errors.items():
        print(f"not measured again: {formatting.configuration(configs[name])}: {error}")
    names = [name for name in configs if name not in errors]
    rounds = scores.table(runs, names, RULES.confidence).rounds(names)
    return {name: math.exp(statistics.fmean(logs)) for name, logs in rounds.items()}


def near(name: str, side: Ours | Plain, rates: dict[str, float]) -> float | None:
    """When a side's incumbent first had 95 % of the best rate, in seconds of its clock, printed; None if never."""
    least = NEAR * max(rates.values())
    found = next((one for one in side.incumbents() if rates.get(one.config.key, 0.0) >= least), None)
    when = "never" if found is None else f"after {found.at_s:.0f} s, by {formatting.configuration(found.config)}"
    print(f"{name}: at {NEAR:.0%} of it {when}; {len(side.tried)} trials in {side.tried[-1].at_s:.0f} s")
    return None if found is None else found.at_s


def judge(ours_s: float | None, plain_s: float | None, plain_all_s: float) -> int:
    """Print the ratio of the times to 95 %; 0 if it is small enough."""
    if ours_s is None:
        print(f"time to {NEAR:.0%}: ours was never there; NOT passed")
        return 1
    ratio = ours_s / (plain_s or plain_all_s)
    passed = ratio <= LIMIT
    bound = "" if plain_s else "at most "
    print(f"time to {NEAR:.0%}, ours / plain: {bound}{ratio:.3f}; limit {LIMIT:.2f}; {'' if passed else 'NOT '}passed")
    return 0 if passed else 1


def say_tried(side: str, tried: Tried) -> None:
    """One line a trial."""
    rate = "failed" if tried.rate is None else f"{tried.rate:.1f}/s"
    print(f"{side:<6}{tried.at_s:6.0f} s  {formatting.configuration(tried.config)}  {rate}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
