"""Can the figures be believed? Each check prints a ratio, or a count, from one run on this machine as it is.

repeatability   spread of our corrected trial rate over that of the articles' protocol (20 calls to warm up, 100
                calls, plain mean), interleaved in the same live processes, at equal or less time; wanted <= 0.6
aa              live confirmations of a configuration against itself: how many claim a difference; wanted <= 3 of 20;
                and the CPU time of a configuration that waits; wanted <= 0.5 % of a core
power           simulated confirmations of a true difference of 5 %, and live against fresh processes in turn
time            a study's seconds of measuring over those of fixed 10-second trials of the same configurations;
                wanted <= 0.6, for the same winner (within its interval); needs --study

python benchmarks/trust.py [CHECK] [--model torchvision:resnet50] [--repetitions N] [--study DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from autotune.analysis import drift, selection, stats
from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.estimate import Estimate
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.protocol import Measure, Measured
from autotune.core.results import Block
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.space_types import Goal
from autotune.core.specs import TrialSpec
from autotune.core.struct import Value
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch.blocks import LEAD_S, BlockRunner
from autotune.launch.interference import InterferenceMonitor
from autotune.launch.loading import loading
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.space import configs
from autotune.study.confirm import paired_comparison, scores
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import UntilComplete
from autotune.study.ranking import Ranking
from autotune.study.storage import store

sys.path.insert(0, str(Path(__file__).parents[1]))

RULES = MeasureRules()
CONFIGURATIONS: tuple[tuple[str, dict[str, Value], int], ...] = (
    ("torch_eager", {}, 1),
    ("onnxruntime", {}, 1),
    ("openvino", {"precision": "int8"}, 8),
)
"""Backend, options, batch size. int8 at batch 1 would be one block: with AMX 100 calls take half a second."""

WARM_UP, CALLS = 20, 100
MINUTES_S = 300.0
AA_S = 40.0
CONTENDERS = 10
"""So many of a study's fastest are measured again; no slower one can have won."""


def main() -> int:
    """Run one check, or all; 1 if one is not passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", nargs="?", default="all", choices=("all", "repeatability", "aa", "power", "time"))
    parser.add_argument("--model", default="torchvision:resnet50")
    parser.add_argument("--repetitions", type=int)
    parser.add_argument("--study", type=Path)
    parser.add_argument("--keep", type=Path, help="an empty folder where the raw data stays")
    chosen = parser.parse_args()
    checks: dict[str, Callable[[Path], bool]] = {
        "repeatability": lambda folder: repeatability(chosen.model, chosen.repetitions or 30, folder),
        "aa": lambda folder: aa(chosen.model, chosen.repetitions or 20, folder),
        "power": lambda _: power(chosen.repetitions or 200),
    }
    if chosen.study is not None:
        checks["time"] = lambda folder: time_spent(chosen.study, folder)
    if chosen.check not in ("all", *checks):
        parser.error("time needs --study DIR")
    passed = []
    for name in checks if chosen.check == "all" else [chosen.check]:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (chosen.keep or Path(temporary)) / name
            folder.mkdir(parents=True)
            passed.append(checks[name](folder))
            print(f"{name}: {'passed' if passed[-1] else 'NOT passed'}", flush=True)
    return 0 if all(passed) else 1


# ------------------------------------------------------------------------------------------------- repeatability


def repeatability(model: str, repetitions: int, folder: Path) -> bool:
    """All configurations are alive; in turn each is measured by the articles' protocol, then by ours."""
    hw = probe.probe()
    articles: dict[str, list[float]] = {}
    ours: dict[str, list[list[Block]]] = {}
    with contextlib.ExitStack() as stack:
        machine = stack.enter_context(LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()))
        benches = {one[0]: stack.enter_context(live(machine, model, *one)) for one in CONFIGURATIONS}
        for _ in range(repetitions):
            for name, bench in benches.items():
                plain, seconds = as_in_the_articles(bench)
                articles.setdefault(name, []).append(plain)
                ours.setdefault(name, []).append(as_a_trial(bench, seconds))
    (folder / "raw.json").write_bytes(msgspec.json.encode({"articles": articles, "ours": ours}))
    fitted = drift.fit([blocks for trials in ours.values() for blocks in trials])
    print(f"correction {fitted.slopes or 'not applied'}")
    ratios = []
    for name, trials in ours.items():
        raw = [math.log(statistics.geometric_mean([block.rate for block in blocks])) for blocks in trials]
        corrected = [
            math.log(stats.interval(drift.corrected(blocks, fitted), RULES.confidence).estimate) for blocks in trials
        ]
        plain_logs = [math.log(rate) for rate in articles[name]]
        plain, spread = statistics.stdev(plain_logs), statistics.stdev(corrected)
        ratios.append(spread / plain)
        print(
            f"{name}: articles {plain:.2%}, ours {spread:.2%} (uncorrected {statistics.stdev(raw):.2%}); "
            f"ratio {ratios[-1]:.2f}; {statistics.fmean(map(len, trials)):.1f} blocks a trial"
        )
    mean = statistics.geometric_mean(ratios)
    print(f"geometric mean of the ratios: {mean:.2f}; wanted <= 0.60; {repetitions} repetitions")
    return mean <= 0.6


def as_in_the_articles(bench: BlockRunner) -> tuple[float, float]:
    """20 calls to warm up, then the plain mean of 100 calls; also the seconds that it took."""
    assert bench.call_s is not None
    clock = time.monotonic()
    begin = time.monotonic_ns() + int((LEAD_S + WARM_UP * bench.call_s) * 1e9)
    end = begin + int(CALLS * bench.call_s * 1e9)
    bench.workers.send(Measure(block=bench.number, start_ns=begin, stop_ns=end))
    shares = cast(list[Measured], bench.workers.gather(RULES.block_timeout_s, "measuring"))
    bench.workers.pause()
    bench.number += 1
    rate = sum(share.items for share in shares) / (end - begin) * 1e9
    return rate, time.monotonic() - clock


def as_a_trial(bench: BlockRunner, seconds: float) -> list[Block]:
    """Blocks with looks at the machine, as many as fit into the seconds with all between them, and into a trial."""
    own: list[Block] = []
    bench.monitor.last = None
    begin, longest = time.monotonic(), RULES.block_s + 2 * RULES.canary_s
    while not own or (
        time.monotonic() - begin + longest <= seconds and sum(b.elapsed_ns for b in own) < RULES.measure_s * 1e9
    ):
        before = time.monotonic()
        own.append(bench.block())
        longest = max(longest, time.monotonic() - before)
    return own


@contextlib.contextmanager
def live(
    machine: LocalExecutor, model: str, backend: str, options: dict[str, Value], batch_size: int
) -> Iterator[BlockRunner]:
    """A configuration's workers, warmed up and stopped."""
    rules = msgspec.structs.replace(RULES, disturbed_repeats=0)
    configured = config(machine.hardware, backend, options, batch_size)
    spec = TrialSpec(id=0, workload=workload(model), config=configured, folder=backend)
    folder = machine.root / backend
    folder.mkdir()
    with loading(machine.context, spec, rules, folder) as loaded:
        loaded.wait()
        bench = BlockRunner(loaded.workers, batch_size, InterferenceMonitor(loaded.cpus, machine.canary, rules), rules)
        for _ in range(3):
            bench.warm()
        yield bench


# ------------------------------------------------------------------------------------------------------------ A/A


def aa(model: str, repetitions: int, folder: Path) -> bool:
    """Confirmations of one configuration against itself, in the manner of a study's."""
    hw, rules = probe.probe(), ConfirmRules()
    pair = dict.fromkeys("ab", config(hw, *CONFIGURATIONS[1]))
    claims = 0
    idle: list[float] = []
    with LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()) as machine:
        for number in range(repetitions):
            wanted = PairedComparison(f"aa{number}", folder, hw, workload(model), pair, RULES, rules)
            runs = paired_comparison.compare(wanted, machine, UntilComplete(pair, rules), AA_S, AA_S, True)
            difference = scores.table(runs, ["a", "b"], rules.confidence).difference("a", "b")
            shares = [candidate.idle_share for run in runs for candidate in run.candidates.values()]
            idle += [share for share in shares if share is not None]
            found = selection.verdict(difference, rules.delta)
            claims += found in ("faster", "slower")
            assert difference.low is not None and difference.high is not None
            between = f"{difference.low:+.2%} to {difference.high:+.2%}"
            print(f"{number + 1:3}  {difference.estimate:+.2%} ({between})  {found}", flush=True)
    print(f"claims of a difference: {claims} of {repetitions}; allowed 3 of 20")
    print(f"CPU time of one that waits: at most {max(idle):.3%} of a core; allowed 0.5 %")
    return claims <= 3 * repetitions / 20 and max(idle) <= rules.idle_share


# ---------------------------------------------------------------------------------------------------------- time


def time_spent(study: Path, folder: Path) -> bool:
    """A study's time of measuring against 10 seconds a trial; its fastest configurations are measured so again."""
    results = [result for result in store.results(study) if result.blocks]
    fixed = msgspec.structs.replace(RULES, measure_s=10.0, half_width=0.0)
    again = []
    with LocalExecutor(store.hardware(study), folder, artifact_cache.default_folder(), Observer()) as machine:
        for result in Ranking(results, Goal()).order()[:CONTENDERS]:
            spec = msgspec.structs.replace(result.spec, folder=f"trials/{result.spec.id:05d}")
            again.append(machine.execute(spec, fixed, None))
    again = [result for result in again if result.blocks]
    spent, whole = sum(map(measuring_s, results)), 10.0 * len(results)
    after = Ranking(again, Goal())
    winner = msgspec.json.decode((study / "best.json").read_bytes(), type=Best).config
    assert after.best is not None
    same = next((result for result in again if result.spec.config == winner), None)
    if same is None:
        print("the study's winner failed in its fixed trial, or is not one of the fastest trials")
        return False
    loss = after.ratio(after.best, same)
    print(f"measuring: {spent:.0f} s, fixed trials {whole:.0f} s; ratio {spent / whole:.2f}; wanted <= 0.60")
    print(f"fixed trials: their best over the study's winner {loss.estimate:.3f} (from {loss.low:.3f})")
    return spent <= 0.6 * whole and (same is after.best or loss.low is None or loss.low <= 1)


def measuring_s(result: Any) -> float:
    """From the first block to the end of the last, canary and pauses included."""
    blocks = (*result.warmup, *result.blocks, *result.repeated)
    return float(max(b.start_ns + b.elapsed_ns for b in blocks) - min(b.start_ns for b in blocks)) / 1e9


# --------------------------------------------------------------------------------------------------------- power


def power(repetitions: int) -> bool:
    """On the simulated machine that the tests fit to recorded noise."""
    from tests import noise

    rules, truth = ConfirmRules(), math.log(1.05)
    draw = random.Random(0)
    trials = [noise.in_turn(noise.Machine(10**6 + i), [draw.gauss(3, 1)], 1, 8)[0][0] for i in range(40)]
    fitted = drift.fit(trials)
    pair = [3.0 + truth, 3.0]
    block_s = noise.BLOCK_S + noise.CANARY_S

    def judged(runs: Any) -> Estimate:
        logs = [[[math.log(rate) for rate in drift.corrected(one, fitted)] for one in system] for system in runs]
        return selection.paired_difference(*logs, rules.confidence)

    def live(seed: int, seconds: float) -> Estimate:
        rounds = int(seconds / (2 * rules.runs * block_s))
        return judged(noise.live(noise.Machine(seed), pair, rules.runs, rounds))

    def turn(seed: int, seconds: float) -> Estimate:
        machine, blocks = noise.Machine(seed), int(seconds / (2 * rules.runs * block_s))
        return judged([noise.in_turn(machine, [system], rules.runs, blocks)[0] for system in pair])

    seeds = range(repetitions)
    found = statistics.fmean((live(seed, MINUTES_S).low or 0.0) > 0 for seed in seeds)
    print(f"a true 5 % found within 5 minutes: {found:.1%} of {repetitions} confirmations; wanted >= 90 %")
    third = statistics.stdev(live(seed, MINUTES_S / 3).estimate for seed in seeds)
    turned = statistics.stdev(turn(seed, MINUTES_S).estimate for seed in seeds)
    print(f"spread, live in a third of the time over fresh processes in turn: {third / turned:.2f}; wanted <= 1")
    return found >= 0.9 and third <= turned


# --------------------------------------------------------------------------------------------------------- common


def workload(model: str) -> WorkloadSpec:
    """The model with random weights on images."""
    return WorkloadSpec(model=model, inputs=(InputSpec(shape=("batch", 3, 224, 224)),))


def config(hw: Hardware, backend: str, options: dict[str, Value], batch_size: int) -> Config:
    """On all cores."""
    return configs.configure(hw, batch_size=batch_size, backend=backend, options=options)


if __name__ == "__main__":
    sys.exit(main())
