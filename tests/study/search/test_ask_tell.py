from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from autotune.core.config import Config
from autotune.core.results import Status, TrialResult
from autotune.core.space_types import Domains, Goal, Limit
from autotune.core.specs import TrialSpec
from autotune.study import ranking
from autotune.study.model.points import DomainPoints
from autotune.study.ranking import Ranking
from autotune.study.search import ask_tell, samplers
from tests.fake_executor import measured, speed
from tests.study.fakes import DOMAINS, SMALL, WORKLOAD, machine, plain

HW = machine()
PLAIN_GOAL = Goal()
ROOT = Path(__file__).parents[3]


def told(
    result: Callable[[TrialSpec], TrialResult], goal: Goal = PLAIN_GOAL, directions: tuple[str, ...] = ("maximize",)
) -> optuna.trial.FrozenTrial:
    study = optuna.create_study(directions=list(directions))
    trial, config = ask_tell.ask(study, SMALL, HW, plain(HW))
    spec = TrialSpec(id=trial.number, workload=WORKLOAD, config=config, folder="trials/00000")
    found = result(spec)
    ask_tell.tell(study, trial, found, Ranking([found], goal))
    return study.trials[0]


@pytest.mark.parametrize("status", [Status.OK, Status.REJECTED])
def test_a_rate_is_told_as_a_value(status: Status) -> None:
    trial = told(lambda spec: measured(spec, 12.5, status=status))
    assert (trial.state, trial.constraints) == (TrialState.COMPLETE, {})
    assert trial.value == pytest.approx(12.5)
    assert trial.user_attrs["status"] == status
    assert trial.user_attrs["rate"] == 12.5
    assert msgspec.json.decode(trial.user_attrs["config"], type=Config) == plain(HW)


def test_every_limit_is_told_by_how_much_it_is_kept_or_broken() -> None:
    limits = (
        Limit(metric="throughput", min=25),
        Limit(metric="cpu_s_per_sample", max=0.1),
        Limit(metric="setup_s", max=9),
    )
    trial = told(lambda spec: measured(spec, 12.5), Goal(limits=limits))
    assert trial.state == TrialState.COMPLETE
    assert trial.constraints == pytest.approx({"throughput": 0.5, "cpu_s_per_sample": -0.2, "setup_s": -ask_tell.MOST})


def test_several_objectives_are_told_as_they_are() -> None:
    goal = Goal(objectives=("throughput", "cpu_s_per_sample"))
    trial = told(lambda spec: measured(spec, 12.5), goal, ("maximize", "minimize"))
    assert trial.values == pytest.approx([12.5, 0.08])


def test_an_objective_that_a_trial_does_not_have_is_a_failure() -> None:
    trial = told(lambda spec: measured(spec, 12.5), Goal(objectives=("served_rate",)))
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"runs": 1.0})


@pytest.mark.parametrize("status", [status for status in Status if not status.measured and status != "interrupted"])
def test_a_failure_is_told_as_a_constraint_with_one_line(status: Status) -> None:
    trial = told(lambda spec: TrialResult(spec=spec, status=status, error="a long\nstory " + "x" * 500))
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"runs": 1.0})
    assert trial.user_attrs["error"].startswith("a long story")
    assert len(trial.user_attrs["error"]) == ask_tell.ERROR_LENGTH


def test_how_sure_a_rate_is_is_told_too() -> None:
    def result(spec: TrialSpec, *rates: float) -> TrialResult:
        blocks = [measured(spec, rate, blocks=1).blocks[0] for rate in rates]
        return TrialResult(spec=spec, status=Status.OK, blocks=tuple(blocks))

    steady = told(lambda spec: result(spec, 10, 10.1, 9.9, 10, 10.1, 9.9)).user_attrs
    wild = told(lambda spec: result(spec, 10, 14, 7, 10, 13, 8)).user_attrs
    single = told(lambda spec: result(spec, 10)).user_attrs
    assert 0 < steady["noise"] < 0.02 < wild["noise"]
    assert single["noise"] == ranking.FEW_BLOCKS


def test_what_does_not_come_of_the_blocks_has_not_their_noise() -> None:
    def result(spec: TrialSpec) -> TrialResult:
        return msgspec.structs.replace(measured(spec, 10.0), peak_rss_bytes=10**9)

    goal = Goal(objectives=("peak_rss_bytes",))
    assert "noise" not in told(result, goal, ("minimize",)).user_attrs
    both = Goal(objectives=("throughput", "peak_rss_bytes"))
    assert "noise" in told(result, both, ("maximize", "minimize")).user_attrs


def test_an_interruption_teaches_nothing() -> None:
    trial = told(lambda spec: TrialResult(spec=spec, status=Status.INTERRUPTED))
    assert (trial.state, trial.constraints) == (TrialState.FAIL, {})


def test_a_planned_configuration_outside_the_domains_has_no_parameters() -> None:
    study = optuna.create_study(direction="maximize", sampler=samplers.tpe(0))
    outside = plain(HW, 3)
    trial, config = ask_tell.ask(study, SMALL, HW, outside)
    assert (config, trial.params) == (outside, {})
    study.tell(trial, 1e9)
    for _ in range(samplers.STARTUP_TRIALS + 3):
        trial, config = ask_tell.ask(study, SMALL, HW, None)
        study.tell(trial, speed(config))


def test_the_gains_are_those_that_the_sampler_expected_of_its_own_proposals() -> None:
    study = optuna.create_study(direction="maximize", sampler=samplers.make("random", 0, DomainPoints(SMALL, HW)))
    ask_tell.ask(study, SMALL, HW, plain(HW))
    ask_tell.ask(study, SMALL, HW, None)  # a sampler that does not say
    study.sampler.gain = 0.25  # type: ignore[attr-defined]
    ask_tell.ask(study, SMALL, HW, None)
    ask_tell.ask(study, SMALL, HW, plain(HW))
    assert ask_tell.gains(study) == [None, 0.25]


def paid(tell: Callable[[optuna.Study, optuna.Trial], object], seed: int, trials: int = 60) -> int:
    """The number of crashes, where repeats are run again: the two fastest settings crash together."""
    study = optuna.create_study(direction="maximize", sampler=samplers.tpe(seed))
    crashes = 0
    for _ in range(trials):
        trial, config = ask_tell.ask(study, DOMAINS, HW, None)
        if config.backend == "openvino" and config.knobs["allocator"] == "tcmalloc":
            crashes += 1
            tell(study, trial)
        else:
            study.tell(trial, speed(config))
    return crashes


def test_a_crashing_pair_is_learned() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seeds = range(6)
    learned = [paid(ask_tell.tell_failure, seed) for seed in seeds]
    ignored = [paid(lambda study, trial: study.tell(trial, state=TrialState.FAIL), seed) for seed in seeds]
    assert sum(learned) < 12 * len(seeds)
    assert sum(learned) < sum(ignored) / 1.5


def test_asking_needs_no_framework_and_little_memory(tmp_path: Path) -> None:
    """A whole study on disk, in a process of its own."""
    code = """
import pathlib, re, sys
from tests.study import coordinator
coordinator.main(pathlib.Path(sys.argv[1]), "finish", 8)
frameworks = {"torch", "openvino", "onnxruntime", "nncf", "pandas", "sklearn", "matplotlib", "scipy.stats"}
# ru_maxrss would be the largest of the process that started this one, too
peak = re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
print(sorted(frameworks & set(sys.modules)), int(peak[1]) // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "s")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    loaded, mib = done.stdout.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert int(mib) < 200


def test_a_space_of_one_backend_asks_no_backend() -> None:
    study = optuna.create_study(direction="maximize", sampler=samplers.tpe(0))
    trial, config = ask_tell.ask(study, Domains(batch_size=(1, 2), knobs={}, backends={"openvino": {}}), HW, None)
    assert (config.backend, set(trial.params)) == ("openvino", {"batch_size"})
