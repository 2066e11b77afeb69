from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from autotune.core.config import Config
from autotune.core.results import Block, Candidate, InterleavedRun, Status
from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import Value
from autotune.launch import interleaved
from autotune.launch.worker_pool import WorkerFailed
from tests.conftest import TINY, ExtendedPackage
from tests.extra.execute import Listener, Told
from tests.launch.scripted import SpeedSensor

RULES = MeasureRules(block_s=0.03, canary_s=0.01, disturbed_repeats=0, verify_s=60.0)

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="reference outputs are torch's")


def config(lab: ExtendedPackage, mode: str = "fine", **options: Value) -> Config:
    return lab.spec("faulty", {"mode": mode, **options}).config


def asked(configs: dict[str, Config], *, rounds: int = 3, number: int = 1, **more: Any) -> InterleavedSpec:
    folder = f"interleaved/{number:04}"
    settled = {"order": "a seed", "folder": folder} | more
    return InterleavedSpec(number=number, workload=TINY, configs=configs, rounds=rounds, **settled)


def sat(lab: ExtendedPackage, root: Path, spec: InterleavedSpec, rules: MeasureRules = RULES) -> InterleavedRun:
    (run,) = lab.interleave(root, spec, rules).runs
    return run


def counts(run: InterleavedRun) -> dict[str, int]:
    return {name: len(candidate.blocks) for name, candidate in run.candidates.items()}


def orders(run: InterleavedRun) -> list[list[str]]:
    """The names in each round, in the order in which they were measured."""
    rounds = zip(*(candidate.blocks for candidate in run.candidates.values()), strict=True)
    return [
        [name for _, name in sorted(zip((block.start_ns for block in blocks), run.candidates, strict=True))]
        for blocks in rounds
    ]


# ------------------------------------------------------------------------------------------------- a whole run


class Whole:
    """A real model, one that sleeps, and one that never rests."""

    def __init__(self, lab: ExtendedPackage, root: Path) -> None:
        eager = lab.spec("torch_eager", {"memory_format": "contiguous", "precision": "float32"}).config
        configs = {"eager": eager, "sleeps": config(lab), "spins": config(lab, "spin")}
        self.root = root
        self.lab = lab
        self.spec = asked(configs, rounds=5)
        self.told: Told = lab.interleave(root, self.spec, RULES)
        (self.run,) = self.told.runs

    def candidate(self, name: str) -> Candidate:
        return self.run.candidates[name]


@pytest.fixture(scope="module")
def whole(lab: ExtendedPackage, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(lab, tmp_path_factory.mktemp("sitting"))


def test_every_round_has_a_block_of_each(whole: Whole) -> None:
    assert {name: candidate.error for name, candidate in whole.run.candidates.items()} == dict.fromkeys(
        whole.spec.configs
    )
    assert counts(whole.run) == dict.fromkeys(whole.spec.configs, 5)
    assert whole.told.rounds == [(1, number) for number in range(5)]
    every = [[candidate.blocks[number] for candidate in whole.run.candidates.values()] for number in range(5)]
    for one, following in itertools.pairwise(every):
        assert max(block.start_ns for block in one) < min(block.start_ns for block in following)


def test_no_two_blocks_overlap(whole: Whole) -> None:
    blocks = [block for candidate in whole.run.candidates.values() for block in (*candidate.warmup, *candidate.blocks)]
    spans = sorted((block.start_ns, block.start_ns + block.elapsed_ns) for block in blocks)
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))


def test_what_a_run_keeps(whole: Whole) -> None:
    run = whole.run
    assert run.spec == whole.spec
    assert list(run.candidates) == list(whole.spec.configs)
    assert 0 < run.start_s < run.wall_s
    assert run.round_s is not None and 0 < 5 * run.round_s < run.wall_s
    assert run.fingerprint == whole.lab.hardware.fingerprint
    assert run.started.endswith("+00:00")


@pytest.mark.parametrize("name", ["eager", "sleeps", "spins"])
def test_a_candidate_keeps_what_a_trial_does(whole: Whole, name: str) -> None:
    candidate = whole.candidate(name)
    assert candidate.config == whole.spec.configs[name]
    assert len(candidate.warmup) == 1
    assert candidate.setup_s is not None and candidate.setup_s > 0
    assert candidate.peak_rss_bytes is not None and candidate.peak_rss_bytes > 10_000_000
    assert candidate.fidelity is not None and candidate.fidelity.samples >= RULES.verify_samples
    assert candidate.versions["python"]
    assert all(block.items > 0 and block.canary is not None for block in candidate.blocks)


@pytest.mark.parametrize("name", ["eager", "sleeps", "spins"])
def test_a_configuration_rests_while_another_is_measured(whole: Whole, name: str) -> None:
    share = whole.candidate(name).idle_share
    assert share is not None and 0 <= share <= 0.005


def test_one_of_them_would_not_have_rested(whole: Whole) -> None:
    def used(blocks: tuple[Block, ...]) -> int:
        return sum(block.cpu_ns for block in blocks)

    assert used(whole.candidate("spins").blocks) > 2 * used(whole.candidate("sleeps").blocks)


def test_latencies_bear_the_numbers_of_the_blocks(whole: Whole) -> None:
    for name, candidate in whole.run.candidates.items():
        folder = whole.root / whole.spec.folder / name
        rows = np.load(folder / "latencies.npy", allow_pickle=False)
        for block in (*candidate.warmup, *candidate.blocks):
            assert rows[rows[:, 1] == block.number][:, 3].sum() == block.calls
        assert sorted(path.name for path in folder.iterdir()) == [
            "job.json",
            "latencies.npy",
            "stderr.log",
            "stdout.log",
        ]


# ------------------------------------------------------------------------------------------------------------ order


class Participant:
    """Stands in for a configuration of a run: its blocks begin at each tick of a clock."""

    def __init__(self, clock: Iterator[int]) -> None:
        self.clock = clock
        self.blocks: list[Block] = []
        self.bench = SimpleNamespace(warm=lambda: None)

    def block(self) -> None:
        self.blocks.append(Block(number=0, start_ns=next(self.clock), elapsed_ns=1, items=1, calls=1, cpu_ns=1))


def test_the_order_is_random_and_the_seeds(
    whole: Whole, lab: ExtendedPackage, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(run: Any, names: list[str], stack: object) -> None:
        clock = itertools.count()
        run.participants = {name: Participant(clock) for name in names}

    def candidate(config: Config, participant: Participant, *_: object) -> Candidate:
        return Candidate(config=config, blocks=tuple(participant.blocks))

    monkeypatch.setattr(interleaved._Run, "_start", start)
    monkeypatch.setattr(interleaved, "_candidate", candidate)
    here: Any = SimpleNamespace(hardware=lab.hardware, observer=listener)

    def ordered(spec: InterleavedSpec) -> list[list[str]]:
        run = interleaved.run(here, SpeedSensor(), spec, RULES, tmp_path / spec.folder)
        assert run is not None
        return orders(run)

    configs = {name: config(lab) for name in "abc"}
    one, same = (ordered(asked(configs, rounds=8, folder=folder)) for folder in ("one", "same"))
    number = ordered(asked(configs, rounds=8, folder="another number", number=2))
    seed = ordered(asked(configs, rounds=8, folder="another seed", order="another"))
    assert one == same
    assert one not in (number, seed)
    assert len({tuple(names) for names in one}) > 2
    assert all(sorted(names) == ["a", "b", "c"] for names in one)
    assert ordered(whole.spec) == orders(whole.run)


# --------------------------------------------------------------------------------------------------------- failures


def test_one_that_crashes_leaves_its_blocks_and_the_others_go_on(lab: ExtendedPackage, tmp_path: Path) -> None:
    configs = {
        "early": config(lab, "crash_in_a_round", round=2),
        "fine": config(lab),
        "late": config(lab, "crash_in_a_round", round=4),
        "at once": config(lab, "crash_in_a_round", round=0),
    }
    run = sat(lab, tmp_path, asked(configs, rounds=5))
    assert counts(run) == {"early": 1, "fine": 5, "late": 3, "at once": 0}
    assert run.candidates["fine"].error is None
    for name in ("early", "late", "at once"):
        candidate = run.candidates[name]
        assert candidate.error == "a worker was killed by SIGABRT: crashed in a round"
        assert candidate.config == configs[name]
        assert all(block.items > 0 for block in candidate.blocks)


def test_one_that_cannot_be_prepared_or_loaded(lab: ExtendedPackage, tmp_path: Path) -> None:
    modes = ("prepare_error", "error", "nan", "exit", "fine")
    run = sat(lab, tmp_path, asked({mode: config(lab, mode) for mode in modes}))
    said = {
        name: candidate.error and re.split(r" \(remembered|, where the reference is", candidate.error)[0]
        for name, candidate in run.candidates.items()
    }
    assert said == {
        "prepare_error": "RuntimeError: no such operator: frobnicate",
        "error": "ValueError: this model cannot be loaded",
        "nan": "the output is nan in sample 0 at [0]",
        "exit": "a worker ended with exit status 3: about to exit",
        "fine": None,
    }
    assert counts(run) == dict.fromkeys(modes, 0) | {"fine": 3}
    log = (tmp_path / "interleaved/0001/prepare_error/stderr.log").read_text()
    assert log.startswith("before the error\nTraceback")


def test_one_that_is_never_ready_disturbs_nobody(lab: ExtendedPackage, tmp_path: Path) -> None:
    configs = {"never": config(lab, "never_ready"), "fine": config(lab)}
    rules = msgspec.structs.replace(RULES, setup_timeout_s=3.5)
    run = sat(lab, tmp_path, asked(configs), rules)
    assert run.candidates["never"].error == "no answer within 4 s while loading the model; limits.setup_s is 3.5"
    assert counts(run) == {"never": 0, "fine": 3}
    last_ns = int((tmp_path / "interleaved/0001/never/stdout.log").read_text().split()[-1])
    assert last_ns < run.candidates["fine"].blocks[0].start_ns


def test_where_all_fail_no_round_is_left(lab: ExtendedPackage, tmp_path: Path) -> None:
    run = sat(lab, tmp_path, asked({name: config(lab, "error") for name in "ab"}))
    assert counts(run) == {"a": 0, "b": 0}
    assert run.round_s is None


def test_without_a_canary_the_rounds_go_on(lab: ExtendedPackage, tmp_path: Path) -> None:
    spec = asked({name: config(lab) for name in "ab"})
    (run,) = lab.run(tmp_path, [], runs=[(spec, RULES)], canary="killed").runs
    assert counts(run) == {"a": 3, "b": 3}
    assert all(block.canary is None for candidate in run.candidates.values() for block in candidate.blocks)


# ---------------------------------------------------------------------------------------------------- one at a time


def test_one_after_the_other(lab: ExtendedPackage, tmp_path: Path) -> None:
    configs = {"a": config(lab), "crashes": config(lab, "crash_in_a_round", round=2), "b": config(lab)}
    run = sat(lab, tmp_path, asked(configs, together=False))
    assert counts(run) == {"a": 3, "crashes": 1, "b": 3}
    assert run.candidates["crashes"].error == "a worker was killed by SIGABRT: crashed in a round"
    spans = sorted(
        (candidate.blocks[0].start_ns, candidate.blocks[-1].start_ns) for candidate in run.candidates.values()
    )
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert 0 < run.start_s < run.wall_s


# ------------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("late", [0, 1, 2])
def test_what_is_measured_one_by_one_is_kept_when_the_time_ends(
    lab: ExtendedPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """The time ends while the configuration at `late` loads."""

    def measure(run: Any, names: list[str], share: float) -> None:
        if len(run.candidates) == late:
            raise WorkerFailed(Status.INTERRUPTED, "the study's time ended while loading the model")
        (name,) = names
        block = Block(number=0, start_ns=0, elapsed_ns=1, items=1, calls=1, cpu_ns=1)
        run.candidates[name] = Candidate(config=run.spec.configs[name], blocks=(block,))

    monkeypatch.setattr(interleaved._Run, "_measure", measure)
    spec = asked({name: config(lab) for name in "abc"}, together=False)
    here: Any = SimpleNamespace(hardware=lab.hardware)
    run = interleaved.run(here, SpeedSensor(), spec, RULES, tmp_path)
    assert (0 if run is None else len(run.candidates)) == late


def test_a_limit_ends_it_between_two_rounds(lab: ExtendedPackage, tmp_path: Path) -> None:
    configs = {name: config(lab) for name in "ab"}
    specs = [asked(configs, rounds=10_000, number=number, limit_s=limit_s) for number, limit_s in ((1, 0.0), (2, 4.0))]
    none, some = lab.run(tmp_path, [], runs=[(spec, RULES) for spec in specs]).runs
    assert none is None  # the time was over before they were loaded
    assert some is not None and 0 < counts(some)["a"] == counts(some)["b"] < 10_000
    assert all(candidate.error is None and candidate.warmup for candidate in some.candidates.values())
