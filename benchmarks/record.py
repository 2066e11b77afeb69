"""Measure every configuration of a small space, for replaying searches on it (`search.py`).

Each is measured once, in random order, by the launcher of a study: eight blocks, never given up as slow, the model
prepared in a cache of its own, so that the first preparation of each artifact shows its cost. Then the best ones that
keep the limits are launched twice more: of many figures the best is too good. With a memory limit, as a container has
one, what needs more fails. Ends where it was stopped: the same command goes on. What is left of it is one compressed
table (`recorded.py` reads it). `sentences` needs its weights first: `make pretrained`.

    python benchmarks/record.py resnet18 FOLDER [--most N] [--memory-gib G]
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from recorded import FOLDER, Row, Table, write

from autotune.core.config import Config
from autotune.core.machine import Hardware
from autotune.core.observer import Observer
from autotune.core.results import TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.space_types import Space
from autotune.core.specs import TrialSpec
from autotune.hardware import probe
from autotune.launch.local_executor import LocalExecutor
from autotune.space import configs
from autotune.space.load import load
from autotune.study.model import suggest
from autotune.study.ranking import Ranking
from autotune.study.storage import store

BLOCKS, LAUNCHES, BEST = 8, 3, 30
RULES = MeasureRules(min_blocks=BLOCKS, measure_s=1e9, half_width=1e9)


def main() -> int:
    """Measure what is not measured yet; write the table as soon as all is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="a file of benchmarks/spaces without its ending")
    parser.add_argument("folder", type=Path, help="where the trials and the cache of prepared models are kept")
    parser.add_argument("--most", type=int, default=10**6, help="so many configurations now")
    parser.add_argument("--memory-gib", type=float)
    chosen = parser.parse_args()
    hw = probe.probe()
    if chosen.memory_gib is not None:
        hw = msgspec.structs.replace(hw, memory_limit_bytes=int(chosen.memory_gib * 2**30))
    whole = load(FOLDER / f"{chosen.space}.yaml", hw)
    configs = every(whole, hw)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with LocalExecutor(hw, chosen.folder, chosen.folder / "cache", Observer()) as machine:
        machine.check(whole.workload, RULES)
        for _ in range(chosen.most):
            done = store.results(chosen.folder)
            spec = following(configs, whole, done)
            if spec is None:
                break
            result = machine.execute(spec, RULES, None)
            rates = [round(block.rate, 1) for block in result.blocks]
            total = len(configs) + BEST * (LAUNCHES - 1)
            print(f"{len(done) + 1} of {total} {result.status} {result.wall_s:.1f} s {rates}", flush=True)
    results = store.results(chosen.folder)
    if following(configs, whole, results) is not None:
        print("configurations are left; the same command goes on")
        return 0
    launches: dict[str, list[TrialResult]] = {}
    for result in results:
        launches.setdefault(result.spec.config.key, []).append(result)
    ranking = Ranking(results, whole.goal)
    rows = tuple(row(*map(ranking.settled, launches[config.key]), whole=whole, hw=hw) for config in configs)
    path = FOLDER / f"{chosen.space}.json.gz"
    write(path, portable(Table(space=whole, hardware=hw, rows=rows)))
    print(f"{path}: {len(rows)} configurations, {path.stat().st_size / 1024:.0f} KiB")
    return 0


def following(configs: Sequence[Config], whole: Space, results: Sequence[TrialResult]) -> TrialSpec | None:
    """What to measure next: what was not measured, then of the best what was launched least; None if that is all."""
    launches = Counter(result.spec.config.key for result in results)
    config = next((config for config in configs if not launches[config.key]), None)
    if config is None:
        first = [result for result in results if result.spec.id < len(configs)]
        settled = map(Ranking(first, whole.goal).settled, first)
        best = [result.spec.config for result in Ranking(tuple(settled), whole.goal).order()[:BEST]]
        config = min(best, key=lambda config: launches[config.key])
        if launches[config.key] >= LAUNCHES:
            return None
    number = launches[config.key] * len(configs) + configs.index(config)
    return TrialSpec(id=number, workload=whole.workload, config=config, folder=store.trial_folder(number))


def every(whole: Space, hw: Hardware) -> list[Config]:
    """All configurations that this machine can honour, in an order that is the same in each run."""
    found = [
        config
        for config in suggest.untried(whole.domains, hw, (), random.Random(0))
        if configs.unavailable(config, hw) is None
    ]
    distinct = sorted({config.key: config for config in found}.values(), key=lambda config: config.key)
    random.Random(0).shuffle(distinct)
    return distinct


def row(result: TrialResult, *again: TrialResult, whole: Space, hw: Hardware) -> Row:
    """What the table keeps of a configuration's trials."""
    parameters = suggest.parameters(result.spec.config, whole.domains, hw)
    assert parameters is not None, "each configuration comes from the domains"
    artifact = result.artifact
    return Row(
        parameters=parameters,
        status=result.status,
        blocks=result.blocks,
        again=tuple(other.blocks for other in again if other.status.measured),
        error=result.error,
        wall_s=result.wall_s,
        prepare_s=artifact.prepare_s if artifact else 0.0,
        artifact=artifact.key if artifact else None,
        fidelity=result.fidelity,
        feasible=result.feasible,
    )


def portable(table: Table) -> Table:
    """The table without this machine's paths: a model's folder as the space file names it, libraries by file name."""
    replace, workload = msgspec.structs.replace, table.space.workload
    provider, _, name = workload.model.partition(":")
    model = f"{provider}:{os.path.relpath(name, FOLDER)}" if name.startswith("/") else workload.model
    libraries = {name: Path(path).name for name, path in table.hardware.libraries.items()}
    return replace(
        table,
        space=replace(table.space, workload=replace(workload, model=model)),
        hardware=replace(table.hardware, libraries=libraries),
    )


if __name__ == "__main__":
    sys.exit(main())
