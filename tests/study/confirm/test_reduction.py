from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest

from autotune.core.confirmation import Ablation
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import paired_comparison, reduction
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.reduction import UntilAccepted
from autotune.study.confirm.schedule import UntilComplete
from tests.fake_executor import FakeExecutor, speed
from tests.study.confirm.winners import CONFIRM, HW, LEAN, OTHER, PLAIN, WINNER, config, confirmed, confirmed_on
from tests.study.fakes import WORKLOAD


def test_a_needless_setting_is_left_out_of_what_is_exported(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    found, executor = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0, OTHER: 11.0}, behave)
    assert found.winner is not None
    assert (found.winner.config, found.winner.trial) == (LEAN, None)
    assert [one.setting for one in found.ablations if one.removed] == ["allocator"]
    whole = [spec for spec in executor.runs if "/whole-" in spec.folder]
    assert whole[0].configs == {"baseline": PLAIN, "winner": LEAN, "unreduced": WINNER}
    assert found.winner.folders == tuple(f"{spec.folder}/winner" for spec in whole)
    assert (found.winner.runs, found.winner.rounds) == (len(whole), sum(spec.rounds for spec in whole))
    assert found.winner.ratio.estimate == pytest.approx(speed(LEAN) / speed(PLAIN), rel=0.02)
    assert [set(step.settings) for step in found.path] == [{"backend"}, {"openvino.precision"}, {"batch_size"}]


def test_a_reduced_winner_that_a_trial_measured_bears_its_number(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    search = {PLAIN: 10.2, WINNER: 90.0, OTHER: 60.0, config(2): 50.0, LEAN: 20.0}  # no finalist: it had bad luck
    found, _ = confirmed(tmp_path, search, behave)
    assert found.winner is not None and (found.winner.config, found.winner.trial) == (LEAN, 4)


def test_of_two_settings_of_which_one_is_needed_one_stays(tmp_path: Path) -> None:
    """Either is worth 30 %, both together no more: without both it is the baseline, which it is known to beat."""
    either = config(8, allocator="tcmalloc")

    def behave(name: str, spec: InterleavedSpec) -> float:
        return 10.0 if spec.configs[name] == PLAIN else 13.0

    found, executor = confirmed(tmp_path, {PLAIN: 10.0, either: 13.0}, behave)
    assert len({spec.configs["winner"] for spec in executor.runs if "/whole-" in spec.folder}) == 1
    assert found.winner is not None and found.winner.config in (config(8), config(allocator="tcmalloc"))
    assert [one.removed for one in found.ablations] == [False, True]
    assert found.ablations[0].kept == "without all such settings nothing but the baseline is left"
    assert found.winner.ratio.estimate == pytest.approx(1.3, rel=0.01)


def test_where_leaving_all_out_loses_the_most_helpful_one_stays(tmp_path: Path) -> None:
    """The larger batch helps only without the other allocator, which does harm."""
    rates = {WINNER: 20.0, LEAN: 22.0, config(1, "openvino", precision_="int8", allocator="tcmalloc"): 20.0}

    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        lean = config(1, "openvino", precision_="int8")
        return (rates | {lean: 16.0, PLAIN: 10.0}).get(found, 12.0)

    found, _ = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0}, behave)
    assert found.winner is not None and found.winner.config == LEAN
    said = {one.setting: (one.removed, one.kept) for one in found.ablations}
    assert said["allocator"] == (True, None) and said["batch_size"][0] is False
    assert str(said["batch_size"][1]).startswith("without all such settings it seems to lose ")


def test_a_reduced_winner_that_is_not_shown_to_beat_the_baseline_is_not_exported(tmp_path: Path) -> None:
    """Measured as a whole it trades places with the baseline, and with the unreduced one."""
    both = config(8, allocator="tcmalloc")

    def behave(name: str, spec: InterleavedSpec) -> float:
        whole = "/whole-" in spec.folder and name == "winner"
        swing = (4.0 if spec.number % 2 else 0.25) if whole else 1.0
        return {PLAIN: 10.0}.get(spec.configs[name], 13.0) * swing

    found, _ = confirmed(tmp_path, {PLAIN: 10.0, both: 13.0}, behave)
    assert found.winner is not None and found.winner.config == both
    assert not any(one.removed for one in found.ablations)


def test_without_time_for_a_second_measurement_nothing_is_removed(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    def delay(spec: InterleavedSpec, rules: MeasureRules) -> None:
        executor.clock.now += 90 if "/whole-" in spec.folder else 0

    executor = FakeExecutor(tmp_path, candidate=behave, before=delay)
    found = confirmed_on(executor, {PLAIN: 10.2, WINNER: 90.0}, minutes=3)
    assert 0 < len([spec for spec in executor.runs if "/whole-" in spec.folder]) < CONFIRM.runs
    assert found.winner is not None and found.winner.config == WINNER
    assert not any(one.removed for one in found.ablations)
    (kept,) = [one.kept for one in found.ablations if one.kept is not None]
    assert kept.startswith("the time was enough for ") and kept.endswith(" interleaved runs without all such settings")


def test_a_second_measurement_may_have_what_the_search_left(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    found, _ = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0}, behave, minutes=3)
    assert found.winner is not None and found.winner.config == LEAN


def whole_runs(folder: Path, loss: float, noise: float, count: int = 6) -> list[InterleavedRun]:
    """Runs in which the reduced winner is slower by so much, as a log ratio, give or take the noise."""
    rates = {"baseline": 10.0, "unreduced": 20.0, "winner": 20.0 * math.exp(-loss)}
    executor = FakeExecutor(folder, candidate=lambda name, spec: rates[name] * math.exp(swing(spec.number, name)))

    def swing(number: int, name: str) -> float:
        return noise * (1 if number % 2 else -1) if name == "winner" else 0.0

    candidates = {"baseline": PLAIN, "winner": LEAN, "unreduced": WINNER}
    paired = PairedComparison("whole", folder, HW, WORKLOAD, candidates, MeasureRules(), CONFIRM)
    rule = UntilComplete(candidates, ConfirmRules(runs=count))
    return paired_comparison.compare(paired, executor, rule, 1e6, 1e6, True)


def accepted(runs: list[InterleavedRun], noise_floor: float, before: list[InterleavedRun] | None = None) -> bool:
    return refusal(runs, noise_floor, before) is None


def refusal(runs: list[InterleavedRun], noise_floor: float, before: list[InterleavedRun] | None = None) -> str | None:
    return UntilAccepted(CONFIRM, LEAN, WINNER, before or []).refusal(runs, noise_floor)


@pytest.mark.parametrize(
    ("loss", "noise", "taken"),
    [
        (0.0, 0.0, True),
        (0.02, 0.0, False),
        (0.06, 0.0, False),
        (0.06, 0.15, False),
        (0.001, 0.15, False),
        (-0.06, 0.0, True),
    ],
)
def test_a_reduced_winner_is_accepted_if_it_loses_less_than_matters_and_seems_to_lose_little(
    tmp_path: Path, loss: float, noise: float, taken: bool
) -> None:
    """2 % are less than matters, but not little; what seems a thousandth may be far more where runs differ."""
    assert accepted(whole_runs(tmp_path, loss, noise), 0.0) is taken


def test_the_loss_is_that_of_all_runs_that_had_both_whatever_their_names(tmp_path: Path) -> None:
    """Three runs in which nothing seems to be lost do not outweigh six of the ablation that showed a loss."""
    runs = whole_runs(tmp_path, 0.0, 0.0, 3)
    rates = {"winner": 20.0, "without-allocator": 18.0, "without-backend": 10.0}
    executor = FakeExecutor(tmp_path, candidate=lambda name, spec: rates[name])
    variants = {"winner": WINNER, "without-allocator": LEAN, "without-backend": OTHER}
    paired = PairedComparison("one-out", tmp_path, HW, WORKLOAD, variants, MeasureRules(), CONFIRM)
    before = paired_comparison.compare(paired, executor, UntilComplete(variants, ConfirmRules(runs=6)), 1e6, 1e6, True)
    loss = UntilAccepted(CONFIRM, LEAN, WINNER, before).loss(runs)
    assert loss.estimate == pytest.approx(math.log(20 / 18) * 6 / 9, rel=0.1)
    assert accepted(runs, 0.0) and not accepted(runs, 0.0, before)


def test_a_reduced_winner_needs_a_gain_over_the_baseline_and_the_runs_of_a_claim(tmp_path: Path) -> None:
    sure = whole_runs(tmp_path / "sure", 0.0, 0.0)
    assert not accepted(sure[:2], 0.0)
    assert accepted(sure[:3], 0.0)
    assert not accepted(sure, math.log(2.1))  # less than the noise floor
    wide = whole_runs(tmp_path / "wide", 0.0, 0.15)
    assert not accepted(wide[:5], 0.0)
    assert re.fullmatch(r"without all such settings it may lose 1\d\.\d %", refusal(wide, 0.0) or "")
    assert not accepted(whole_runs(tmp_path / "slow", math.log(2), 0.0), 0.0)


def test_a_reduction_is_measured_until_its_loss_is_known(tmp_path: Path) -> None:
    rule = UntilAccepted(CONFIRM, LEAN, WINNER)
    sure, wide = whole_runs(tmp_path / "sure", 0.0, 0.0), whole_runs(tmp_path / "wide", 0.0, 0.1, 24)
    assert rule(sure[:2]) == set(reduction.CANDIDATES)
    assert rule(sure[:3]) == set()
    assert all(rule(wide[:count]) for count in range(1, 24))
    worse = whole_runs(tmp_path / "worse", 0.1, 0.01)
    assert rule(worse[:3]) == set() and not accepted(worse, 0.0)


def test_the_settings_of_a_winner_that_stays_whole_are_kept_for_a_reason() -> None:
    found = Ablation(setting="allocator", value=1, instead=0, ratio=None, removed=True, resolved=True)
    assert reduction.kept([found], [found.setting], "why") == (
        msgspec.structs.replace(found, removed=False, resolved=False, kept="why"),
    )
    shown = Ablation(setting="batch_size", value=1, instead=0, ratio=None, resolved=True)
    assert reduction.kept([shown], [], "why") == (shown,)


def test_the_reason_why_a_reduced_winner_is_not_taken(tmp_path: Path) -> None:
    sure, doubtful = whole_runs(tmp_path / "sure", 0.0, 0.0), whole_runs(tmp_path / "doubtful", 0.025, 0.1)
    slow = whole_runs(tmp_path / "slow", 0.1, 0.0)
    assert refusal([], 0.0) == "the time was enough for 0 of 6 interleaved runs without all such settings"
    assert refusal(sure[:2], 0.0) == "the time was enough for 2 of 3 interleaved runs without all such settings"
    assert refusal(sure, math.log(2.1)) == "without all such settings it is not shown to beat the baseline"
    for runs, loss in ((doubtful, 2.5), (slow[:2], 9.5)):
        said = refusal(runs, 0.0)
        found = re.fullmatch("without all such settings it seems to lose (.*) %", said or "")
        assert found is not None and float(found[1]) == pytest.approx(loss, rel=0.2)
    broken = msgspec.structs.replace(sure[0].candidates["winner"], blocks=(), error="it broke")
    failed = [msgspec.structs.replace(run, candidates=run.candidates | {"winner": broken}) for run in sure]
    assert refusal(failed, 0.0) == "measuring it without all such settings failed: it broke"


def test_a_winner_of_which_nothing_would_be_left_is_not_measured_without_it() -> None:
    nothing_left, impossible = (reduction.obstacle_to(config, WINNER, PLAIN, HW) for config in (PLAIN, WINNER))
    assert nothing_left == "without all such settings nothing but the baseline is left"
    assert impossible == "without all such settings it cannot run here"
    assert reduction.obstacle_to(LEAN, WINNER, PLAIN, HW) is None
