from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Ablation
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.study.confirm import ablation, paired_comparison, path, scores
from autotune.study.confirm.ablation import UntilResolved
from autotune.study.confirm.paired_comparison import PairedComparison
from autotune.study.confirm.schedule import UntilComplete
from autotune.study.model.config_diff import without
from tests.fake_executor import FakeExecutor, at, speed
from tests.study.confirm.winners import CONFIRM, HW, LEAN, PLAIN, WINNER, config, hinted, steps
from tests.study.fakes import WORKLOAD


def left_out(
    folder: Path,
    winner: Config,
    behave: Callable[[str, InterleavedSpec], float],
    baseline: Config = PLAIN,
    count: int = 6,
) -> tuple[list[InterleavedRun], ablation.Variants]:
    """Interleaved runs of a winner and its variants."""
    variants = ablation.variants(winner, baseline, HW)
    configs = {"winner": winner} | {name: one.config for name, one in variants.items()}
    executor = FakeExecutor(folder, candidate=behave)
    found = PairedComparison("one-out", folder, HW, WORKLOAD, configs, MeasureRules(), CONFIRM)
    return paired_comparison.compare(
        found, executor, UntilComplete(configs, ConfirmRules(runs=count)), 1e6, 1e6, True
    ), variants


def reduced(found: Iterable[Ablation]) -> Config:
    """The winner without what is not shown to help."""
    return without(WINNER, PLAIN, {one.setting for one in found if one.removed}, HW)


def test_each_setting_is_put_back_by_itself_and_a_backend_with_its_options() -> None:
    found = {name: one.config for name, one in ablation.variants(WINNER, PLAIN, HW).items()}
    assert found == {
        "without-batch_size": config(1, "openvino", precision_="int8", allocator="tcmalloc"),
        "without-allocator": LEAN,
        "without-backend": config(16, allocator="tcmalloc"),
        "without-openvino.precision": config(16, "openvino", allocator="tcmalloc"),
    }


def test_what_cannot_be_honoured_is_no_variant() -> None:
    """OpenVINO advises a number of requests only where it has a hint."""
    winner = hinted()
    found = set(ablation.variants(winner, PLAIN, HW))
    assert found == {"without-backend", "without-openvino.requests"}
    assert [one.setting for one in ablation.impossible(winner, PLAIN, HW)] == ["openvino.hint"]


def test_a_tuning_goes_with_its_allocator() -> None:
    winner = config(8, allocator="jemalloc", jemalloc_conf="keep")
    variants = ablation.variants(winner, PLAIN, HW)
    assert variants["without-allocator"].config == config(8)
    found = path.stops(winner, PLAIN, steps("jemalloc_conf", "allocator", "batch_size"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"jemalloc_conf": "keep", "allocator": "jemalloc"},
        {"batch_size": 8},
    ]


def test_the_worth_of_each_setting_is_recovered(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: speed(spec.configs[name]))
    found = ablation.ablations(runs, variants, CONFIRM)
    assert [one.setting for one in found] == ["backend", "openvino.precision", "batch_size", "allocator"]
    for one in found:
        truth = speed(WINNER) / speed(variants[f"without-{one.setting}"].config)
        assert one.ratio is not None and one.ratio.estimate == pytest.approx(truth, rel=0.01)
        assert one.resolved and not one.removed and one.error is None
    assert [(one.value, one.instead) for one in found] == [
        ("openvino", "torch_eager"),
        ("int8", "float32"),
        (16, 1),
        ("tcmalloc", "system"),
    ]


def test_a_setting_that_is_worth_nothing_is_marked_as_removed(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, at({PLAIN: 10.0, WINNER: 30.0, LEAN: 30.0}))
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert found["allocator"].removed and found["allocator"].resolved
    assert not any(one.removed for name, one in found.items() if name != "allocator")
    assert reduced(found.values()) == LEAN


def test_what_costs_something_is_removed_too(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, LEAN, lambda name, spec: 11.0 if name == "without-batch_size" else 10.0)
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}["batch_size"]
    assert found.removed and found.ratio is not None and found.ratio.estimate == pytest.approx(10 / 11, rel=0.01)


def swinging(name: str, spec: InterleavedSpec) -> float:
    """The allocator is worth 8 % in one interleaved run and costs as much in the next."""
    swing = 1.08 if spec.number % 2 else 1 / 1.08
    allocator = 1.0 if spec.configs[name].knobs["allocator"] == "system" else swing
    return speed(LEAN) * allocator if spec.configs[name] in (LEAN, WINNER) else speed(spec.configs[name])


def test_what_the_interval_leaves_open_is_not_resolved_and_left_out(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, swinging)
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert not found["allocator"].resolved and found["allocator"].removed
    assert found["backend"].resolved and not found["backend"].removed
    assert reduced(found.values()) == LEAN
    kept = UntilResolved(variants, CONFIRM)
    assert kept(runs[:5]) == {"winner", *variants}
    assert kept(runs) == {"winner", "without-allocator"}


def test_with_few_runs_it_is_not_resolved_that_a_setting_is_worth_nothing(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: 10.0, count=5)
    found = ablation.ablations(runs, variants, CONFIRM)
    assert all(one.ratio is not None and one.removed and not one.resolved for one in found)
    assert [one.ratio for one in ablation.ablations([], variants, CONFIRM)] == [None] * 4


@pytest.mark.parametrize("worth", [0.5, 1.0, 3.0])
def test_what_was_measured_once_decides_nothing(tmp_path: Path, worth: float) -> None:
    rates = {WINNER: 30.0, LEAN: 30.0 / worth}
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: rates.get(spec.configs[name], 15.0), count=1)
    found = ablation.ablations(runs, variants, CONFIRM)
    assert all(one.ratio is not None for one in found)
    assert not any(one.removed or one.resolved for one in found)
    assert reduced(found) == WINNER


def test_two_runs_show_what_a_setting_gains_by_the_noise_of_all(tmp_path: Path) -> None:
    """By itself a pair in two runs has an interval of 13 times its standard error."""
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: speed(spec.configs[name]), count=2)
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert not any(one.removed for one in found.values())
    pair = scores.table(runs, ["winner", "without-allocator"], CONFIRM.confidence)
    alone, among_all = pair.ratio("winner", "without-allocator"), found["allocator"].ratio
    assert alone is not None and alone.high is not None and among_all is not None and among_all.high is not None
    assert among_all.high < alone.high


def test_a_variant_that_crashes_says_so_and_its_setting_stays(tmp_path: Path) -> None:
    variants = ablation.variants(LEAN, PLAIN, HW)
    configs = {"winner": LEAN} | {name: one.config for name, one in variants.items()}
    executor = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "without-backend" else None)
    found = PairedComparison("one-out", tmp_path, HW, WORKLOAD, configs, MeasureRules(), CONFIRM)
    runs = paired_comparison.compare(found, executor, UntilResolved(variants, CONFIRM), 1e6, 1e6, True)
    assert len(runs) == CONFIRM.sure_runs
    by = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert by["backend"].error == "a made-up crash" and by["backend"].ratio is None
    assert not by["backend"].removed and by["batch_size"].resolved
