"""Do independent studies of one space find equally good configurations? Each has its own seed, folder and trials.

Tunes the space so many times, then measures all configurations that were exported against each other in interleaved
runs. Prints how far each lies below the best of them; nine of ten must lie within 3 %. Studies that are finished are
kept in the folder, and the same command goes on.

    python benchmarks/same_answer.py FOLDER [--space FILE] [--studies 10] [--runs 6]
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path

import msgspec

from autotune.core.best import Best
from autotune.core.config import Config
from autotune.core.observer import Observer
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.workload_spec import WorkloadSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.report.text import formatting
from autotune.study.confirm import outcomes, paired_comparison, scores
from autotune.study.confirm.paired_comparison import PairedComparison

SMALL = Path(__file__).parent / "small.yaml"
NEAR = 0.03
SHARE = 0.9
ROUNDS_S = 3600.0
"""More time than the runs need."""


def main() -> int:
    """Tune, compare, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--space", default=str(SMALL), help="a space file or the name of a shipped one")
    parser.add_argument("--studies", type=int, default=10)
    parser.add_argument("--runs", type=int, default=6, help="interleaved runs of the exported configurations")
    chosen = parser.parse_args()
    found = [tuned(chosen.folder, chosen.space, seed) for seed in range(chosen.studies)]
    for seed, best in enumerate(found):
        claim = best.measured.speedup
        said = "no speed-up" if claim is None else f"{claim.estimate:.2f}x"
        word = "confirmed" if best.confirmed else "not confirmed"
        print(f"{seed:3}  {said} {word}  {formatting.configuration(best.config)}", flush=True)
    configs = {config.key: config for config in (best.config for best in found)}
    behind = compared(chosen.folder, found[0].workload, list(configs.values()), chosen.runs)
    for key, distance in sorted(behind.items(), key=lambda one: one[1]):
        count = sum(best.config.key == key for best in found)
        print(f"{math.expm1(-distance):+7.1%}  {count} times  {formatting.configuration(configs[key])}")
    near = sum(behind[best.config.key] <= -math.log1p(-NEAR) for best in found)
    passed = near >= SHARE * len(found)
    print(f"within {NEAR:.0%} of the best of them: {near} of {len(found)}; {'passed' if passed else 'NOT PASSED'}")
    return 0 if passed else 1


def tuned(folder: Path, space: str, seed: int) -> Best:
    """What a study of its own exports; it is made unless it is there. Nothing is taken from the other studies."""
    studies = folder / str(seed)
    command = [sys.executable, "-m", "autotune", "--space", space, "--studies", str(studies), "--name", "study"]
    file = studies / "study" / "best.json"
    if not file.exists():
        subprocess.run([*command, "--seed", str(seed)], check=True)
    return msgspec.json.decode(file.read_bytes(), type=Best)


def compared(folder: Path, workload: WorkloadSpec, configs: list[Config], count: int) -> dict[str, float]:
    """The log ratio of the best configuration to each one, by key, after so many interleaved runs of all."""
    if len(configs) == 1:
        return {configs[0].key: 0.0}
    hw, names = probe.probe(), {f"exported-{place}": config for place, config in enumerate(configs)}
    paired = PairedComparison("exported", folder, hw, workload, names, MeasureRules(), ConfirmRules())
    with LocalExecutor(hw, folder, artifact_cache.default_folder(), Observer()) as executor:
        runs = paired_comparison.compare(
            paired,
            executor,
            lambda made: set(names) if outcomes.complete(made, list(names)) < count else set(),
            ROUNDS_S,
            ROUNDS_S,
            together=True,
        )
    rates = scores.table(runs, list(names), ConfirmRules().confidence)
    best = max(rates.level(name) for name in names)
    return {config.key: best - rates.level(name) for name, config in names.items()}


if __name__ == "__main__":
    sys.exit(main())
