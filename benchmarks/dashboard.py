"""What does a dashboard cost a study? Blocks with a page open against blocks without, and a study with a page open.

First a real study runs with a page open from beginning to end: no trial may fail. Then one session on all cores is
measured in spells, by turns with a dashboard whose page asks every two seconds, as it does, and with the dashboard
stopped. A new result lands in the study of 60 trials every eight seconds, as in a study of a quick model. The spells
are short, since the machine drifts. Prints the ratio of the rates with its 95 % interval: the slow-down's upper bound
must be 3 % at most.

    python benchmarks/dashboard.py [--pairs 120] [--spell-s 2] [--trials 8]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
from common import ratio

from autotune.core.observer import Observer
from autotune.core.protocol import Finish
from autotune.core.results import TrialResult
from autotune.core.rules import MeasureRules
from autotune.core.specs import TrialSpec
from autotune.core.workload_spec import InputSpec, WorkloadSpec
from autotune.hardware import probe
from autotune.launch import launch_plan, worker_pool
from autotune.launch.blocks import BlockRunner
from autotune.launch.interference import InterferenceMonitor
from autotune.launch.local_executor import LocalExecutor
from autotune.models import artifact_cache
from autotune.report.text import study_reader
from autotune.space import configs
from autotune.study.storage import store

LIMIT = 0.03
PAGE_S = 2.0
"""How often the page of a study of fewer than 100 trials asks."""

NEWS_S = 8.0
"""How often a trial ends."""

TRIALS = 60
WORKLOAD = WorkloadSpec(model="torchvision:squeezenet1_1", inputs=(InputSpec(shape=("batch", 3, 224, 224)),))
SERVE = """
import pathlib, sys
from autotune.report.dashboard import server
server.serve(pathlib.Path(sys.argv[1]), print, port=0)"""


def main() -> int:
    """Run both parts; 1 if a trial failed, or the slow-down may be more than the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=120)
    parser.add_argument("--spell-s", type=float, default=2.0)
    parser.add_argument("--trials", type=int, default=8)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        failed, asked = study(Path(name), chosen.trials)
        print(f"study of {chosen.trials} trials with a page open: {failed} failed, {asked} requests", flush=True)
        ratios = spells(Path(name), chosen.pairs, chosen.spell_s)
    low, _ = ratio("with / without a page:", ratios)
    passed = failed == 0 and asked > 0 and low >= 1 - LIMIT
    print(f"slow-down of at most {1 - low:.1%}, allowed {LIMIT:.0%}; {'passed' if passed else 'not passed'}")
    return 0 if passed else 1


def study(folder: Path, trials: int) -> tuple[int, int]:
    """A study with a page open as soon as there is something to show: failed trials, and requests answered."""
    command = ["--space", "mlp.yaml", "--studies", folder, "--name", "whole", "--trials", str(trials), "--minutes", "5"]
    begun = folder / "whole" / "domains.json"
    with subprocess.Popen([sys.executable, "-m", "autotune", *command], stdout=subprocess.DEVNULL) as running:
        while not begun.exists() and running.poll() is None:
            threading.Event().wait(0.2)
        with page(folder / "whole") as opened:
            if running.wait() != 0:
                raise SystemExit(f"the study ended with exit status {running.returncode}")
            asked = opened.answered
    results = study_reader.read(folder / "whole").results
    return sum(not result.status.measured for result in results), asked


def spells(folder: Path, pairs: int, spell_s: float) -> list[float]:
    """The log ratio of the rates with a page and without, of spells next to each other in random order."""
    hw, cache = probe.probe(), artifact_cache.default_folder()
    rules = MeasureRules(disturbed_repeats=0)
    config = configs.configure(hw, batch_size=1, backend="onnxruntime")
    count, dice = max(1, round(spell_s / rules.block_s)), random.Random(0)
    spec = TrialSpec(id=0, workload=WORKLOAD, config=config, folder="prepared")
    ratios = []
    with LocalExecutor(hw, folder, cache, Observer()) as machine:
        template = machine.execute(spec, rules, None)
        made = made_up(folder / "made-up", folder / "whole", template)
        launched = launch_plan.measuring(config, hw, os.environ, cache)
        with (
            worker_pool.start(launched, folder / "prepared" / "job.json", folder, 2**40) as workers,
            page(made) as opened,
        ):
            workers.gather(rules.setup_timeout_s, "loading")
            cpus = tuple(cpu for worker in launched.workers for cpu in worker.placement.cpus)
            bench = BlockRunner(workers, 1, InterferenceMonitor(cpus, machine.canary, rules), rules)
            due = 0.0
            for _ in range(pairs):
                rates = {}
                for shown in dice.sample((True, False), 2):
                    if time.monotonic() >= due:
                        add(made, template)
                        due = time.monotonic() + NEWS_S
                    opened.turn(shown)
                    blocks = [math.log(bench.block().rate) for _ in range(count)]
                    rates[shown] = statistics.fmean(blocks)
                ratios.append(rates[True] - rates[False])
            opened.turn(True)
            workers.send(Finish())
            workers.gather(rules.block_timeout_s, "finishing")
    return ratios


def made_up(folder: Path, real: Path, template: TrialResult) -> Path:
    """A study of 60 trials, its space from a real one."""
    folder.mkdir()
    for name in ("domains.json", "hardware.json"):
        (folder / name).write_bytes((real / name).read_bytes())
    for _ in range(TRIALS):
        add(folder, template)
    return folder


def add(folder: Path, template: TrialResult) -> None:
    """One more result."""
    number = max(store.numbers(folder), default=-1) + 1
    spec = msgspec.structs.replace(template.spec, id=number, folder=store.trial_folder(number))
    (folder / spec.folder).mkdir(parents=True)
    store.write_result(folder, msgspec.structs.replace(template, spec=spec))


class Page(threading.Thread):
    """What an open page asks of a dashboard, which runs in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        super().__init__(daemon=True)
        self.process, self.address = process, address
        self.answered = self.seen = 0
        self.shown, self.closed = threading.Event(), threading.Event()
        self.shown.set()

    def run(self) -> None:
        """Ask for what is new until the page is closed."""
        while not self.closed.wait(PAGE_S):
            self.shown.wait()
            with urllib.request.urlopen(f"{self.address}/api/studies/0?after={self.seen}") as answer:
                trials = json.load(answer)["trials"]
            self.seen += sum(trial["state"] != "Running" for trial in trials)
            self.answered += 1

    def turn(self, shown: bool) -> None:
        """Show the page, or stop it and its dashboard."""
        if shown:
            self.process.send_signal(signal.SIGCONT)
            self.shown.set()
        else:
            self.shown.clear()
            self.process.send_signal(signal.SIGSTOP)


@contextlib.contextmanager
def page(folder: Path) -> Iterator[Page]:
    """A dashboard on a study's folder, and a page that is open."""
    command = [sys.executable, "-u", "-c", SERVE, folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"http://[^/]+", process.stdout.readline() if process.stdout else "")
            if found is None:
                raise SystemExit("the dashboard did not start")
            opened = Page(process, found[0])
            opened.start()
            yield opened
            opened.closed.set()
            opened.join()
        finally:
            process.kill()


if __name__ == "__main__":
    sys.exit(main())
