from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.core.config import Config
from autotune.core.confirmation import Ablation, Confirmation
from autotune.core.results import InterleavedRun
from autotune.core.rules import ConfirmRules, MeasureRules
from autotune.core.specs import InterleavedSpec
from autotune.core.struct import Value
from autotune.space import configs
from autotune.study.confirm import ablation, comparison
from autotune.study.confirm.comparison import PairedComparison
from autotune.study.confirm.stage import confirm
from tests.fake_executor import FakeExecutor, at, speed
from tests.study.fakes import WORKLOAD, Watcher, machine, plain, searched

HW = machine()
CONFIRM = ConfirmRules()
PLAIN = plain(HW)


def config(batch_size: int = 1, backend: str = "torch_eager", **settings: Value) -> Config:
    """Knobs by their names, options with an underscore behind theirs."""
    knobs = {name: value for name, value in settings.items() if not name.endswith("_")}
    options = {name.removesuffix("_"): value for name, value in settings.items() if name.endswith("_")}
    return configs.configure(HW, batch_size=batch_size, backend=backend, options=options, knobs=knobs)


WINNER = config(16, "openvino", precision_="int8", allocator="tcmalloc")
LEAN = config(16, "openvino", precision_="int8")
OTHER = config(8)


def left_out(
    folder: Path,
    winner: Config,
    behave: Callable[[str, InterleavedSpec], float],
    baseline: Config = PLAIN,
    count: int = 6,
) -> tuple[list[InterleavedRun], ablation.Variants]:
    """Interleaved runs of a winner and its variants."""
    variants = ablation.variants(winner, baseline, HW)
    configs = {"winner": winner} | {name: one for name, (_, one) in variants.items()}
    interleave = FakeExecutor(folder, candidate=behave)
    found = PairedComparison("one-out", folder, WORKLOAD, configs, MeasureRules(), CONFIRM)
    return comparison.run(
        found, interleave, ablation.Whole(configs, ConfirmRules(runs=count)), 1e6, 1e6, True
    ), variants


def confirmed(
    folder: Path, search: dict[Config, float], behave: Callable[[str, InterleavedSpec], float], minutes: float = 60
) -> tuple[Confirmation, FakeExecutor]:
    interleave = FakeExecutor(folder, candidate=behave)
    study = searched(folder, search, minutes)
    found = confirm(study, interleave, Watcher(), MeasureRules(), CONFIRM, clock=interleave.clock)
    assert found is not None and found.winner is not None and found.gain
    return found, interleave


def steps(*settings: str) -> tuple[Ablation, ...]:
    """Worths in this order."""
    return tuple(Ablation(setting=setting, value=1, instead=0, ratio=None) for setting in settings)


# ----------------------------------------------------------------------------------------------------------- worths


def test_each_setting_is_put_back_by_itself_and_a_backend_with_its_options() -> None:
    found = {name: one for name, (_, one) in ablation.variants(WINNER, PLAIN, HW).items()}
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


def hinted() -> Config:
    options = {"hint": "throughput", "requests": 0}
    return configs.configure(HW, batch_size=1, backend="openvino", options=options)


def test_a_tuning_goes_with_its_allocator() -> None:
    winner = config(8, allocator="jemalloc", jemalloc_conf="keep")
    variants = ablation.variants(winner, PLAIN, HW)
    assert variants["without-allocator"][1] == config(8)
    found = ablation.stages(winner, PLAIN, steps("jemalloc_conf", "allocator", "batch_size"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"jemalloc_conf": "keep", "allocator": "jemalloc"},
        {"batch_size": 8},
    ]


def test_the_worth_of_each_setting_is_recovered(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: speed(spec.configs[name]))
    found = ablation.ablations(runs, variants, CONFIRM)
    assert [one.setting for one in found] == ["backend", "openvino.precision", "batch_size", "allocator"]
    for one in found:
        truth = speed(WINNER) / speed(variants[f"without-{one.setting}"][1])
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
    assert ablation.reduced(WINNER, PLAIN, list(found.values()), HW) == LEAN


def test_what_costs_something_is_removed_too(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, LEAN, lambda name, spec: 11.0 if name == "without-batch_size" else 10.0)
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}["batch_size"]
    assert found.removed and found.ratio is not None and found.ratio.estimate == pytest.approx(10 / 11, rel=0.01)


def swinging(name: str, spec: InterleavedSpec) -> float:
    """The allocator is worth 8 % in one interleaved run and costs as much in the next."""
    swing = 1.08 if spec.number % 2 else 1 / 1.08
    allocator = 1.0 if spec.configs[name].knobs["allocator"] == "system" else swing
    return speed(LEAN) * allocator if spec.configs[name] in (LEAN, WINNER) else speed(spec.configs[name])


def test_what_the_interval_leaves_open_is_not_resolved_and_stays(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, swinging)
    found = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert not found["allocator"].resolved and not found["allocator"].removed
    assert found["backend"].resolved
    assert ablation.reduced(WINNER, PLAIN, list(found.values()), HW) == WINNER
    kept = ablation.Unresolved(variants, CONFIRM)
    assert kept(runs[:5]) == {"winner", *variants}
    assert kept(runs) == {"winner", "without-allocator"}


def test_with_too_few_runs_nothing_is_removed(tmp_path: Path) -> None:
    runs, variants = left_out(tmp_path, WINNER, lambda name, spec: 10.0, count=5)
    found = ablation.ablations(runs, variants, CONFIRM)
    assert all(one.ratio is not None for one in found)
    assert not any(one.removed or one.resolved for one in found)
    assert [one.ratio for one in ablation.ablations([], variants, CONFIRM)] == [None] * 4


def test_a_variant_that_crashes_says_so_and_its_setting_stays(tmp_path: Path) -> None:
    variants = ablation.variants(LEAN, PLAIN, HW)
    configs = {"winner": LEAN} | {name: one for name, (_, one) in variants.items()}
    interleave = FakeExecutor(tmp_path, fails=lambda name, spec: 0 if name == "without-backend" else None)
    found = PairedComparison("one-out", tmp_path, WORKLOAD, configs, MeasureRules(), CONFIRM)
    runs = comparison.run(found, interleave, ablation.Unresolved(variants, CONFIRM), 1e6, 1e6, True)
    assert len(runs) == CONFIRM.runs
    by = {one.setting: one for one in ablation.ablations(runs, variants, CONFIRM)}
    assert by["backend"].error == "a made-up crash" and by["backend"].ratio is None
    assert not by["backend"].removed and by["batch_size"].resolved


# ------------------------------------------------------------------------------------------------------- the reduced


def test_a_needless_setting_is_left_out_of_what_is_exported(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    found, interleave = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0, OTHER: 11.0}, behave)
    assert found.winner is not None
    assert (found.winner.config, found.winner.trial) == (LEAN, None)
    assert [one.setting for one in found.ablations if one.removed] == ["allocator"]
    whole = [spec for spec in interleave.runs if "/whole-" in spec.folder]
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


def test_two_settings_of_which_one_is_needed_both_stay(tmp_path: Path) -> None:
    """Either is worth 30 %, both together no more: each by itself seems to be worth nothing."""
    either = config(8, allocator="tcmalloc")

    def behave(name: str, spec: InterleavedSpec) -> float:
        return 10.0 if spec.configs[name] == PLAIN else 13.0

    found, interleave = confirmed(tmp_path, {PLAIN: 10.0, either: 13.0}, behave)
    whole = [spec for spec in interleave.runs if "/whole-" in spec.folder]
    assert whole[0].configs == {"baseline": PLAIN, "winner": PLAIN, "unreduced": either}
    assert found.winner is not None and (found.winner.config, found.winner.trial) == (either, 1)
    assert [one.removed for one in found.ablations] == [False, False]
    assert found.winner.ratio.estimate == pytest.approx(1.3, rel=0.01)
    assert all("/finalists-" in folder for folder in found.winner.folders)


def test_a_reduced_winner_that_is_not_shown_to_beat_the_baseline_is_not_exported(tmp_path: Path) -> None:
    """Measured as a whole it trades places with the baseline, and with the unreduced one."""
    both = config(8, allocator="tcmalloc")

    def behave(name: str, spec: InterleavedSpec) -> float:
        whole = "/whole-" in spec.folder and name == "winner"
        swing = (2.0 if spec.number % 2 else 0.5) if whole else 1.0
        return {PLAIN: 10.0}.get(spec.configs[name], 13.0) * swing

    found, _ = confirmed(tmp_path, {PLAIN: 10.0, both: 13.0}, behave)
    assert found.winner is not None and found.winner.config == both
    assert not any(one.removed for one in found.ablations)


def test_without_time_for_a_second_measurement_nothing_is_removed(tmp_path: Path) -> None:
    def behave(name: str, spec: InterleavedSpec) -> float:
        found = spec.configs[name]
        return speed(found) / (1.1 if found.knobs["allocator"] == "tcmalloc" else 1)

    found, interleave = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0}, behave, minutes=2)
    assert len([spec for spec in interleave.runs if "/whole-" in spec.folder]) < CONFIRM.runs
    assert found.winner is not None and found.winner.config == WINNER
    assert not any(one.removed for one in found.ablations)


# ---------------------------------------------------------------------------------------------------------- the way


def test_the_way_goes_by_worth_and_options_behind_their_backend() -> None:
    found = ablation.stages(WINNER, PLAIN, steps("batch_size", "openvino.precision", "allocator", "backend"), HW)
    assert list(found) == ["with-batch_size", "with-allocator", "with-backend", "winner"]
    assert [stage.settings for stage in found.values()] == [
        {"batch_size": 16},
        {"allocator": "tcmalloc"},
        {"backend": "openvino"},
        {"openvino.precision": "int8"},
    ]
    assert [stage.config for stage in found.values()] == [
        config(16),
        config(16, allocator="tcmalloc"),
        config(16, "openvino", allocator="tcmalloc"),
        WINNER,
    ]


def test_an_option_of_the_same_backend_has_its_own_place() -> None:
    winner = config(8, memory_format_="channels_last")
    found = ablation.stages(winner, PLAIN, steps("torch_eager.memory_format", "batch_size"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"torch_eager.memory_format": "channels_last"},
        {"batch_size": 8},
    ]


def test_a_step_that_cannot_be_honoured_goes_with_the_next() -> None:
    """The advised number of requests must wait for the hint."""
    found = ablation.stages(hinted(), PLAIN, steps("backend", "openvino.requests", "openvino.hint"), HW)
    assert [stage.settings for stage in found.values()] == [
        {"backend": "openvino"},
        {"openvino.requests": 0, "openvino.hint": "throughput"},
    ]
    assert [stage.config for stage in found.values()] == [config(1, "openvino"), hinted()]


def test_settings_without_a_worth_come_last() -> None:
    found = ablation.stages(LEAN, PLAIN, steps("batch_size"), HW)
    assert [list(stage.settings) for stage in found.values()] == [["batch_size"], ["backend"], ["openvino.precision"]]


def test_one_change_is_one_stage() -> None:
    assert list(ablation.stages(OTHER, PLAIN, (), HW)) == ["winner"]


def test_the_path_has_what_each_step_brought(tmp_path: Path) -> None:
    found, interleave = confirmed(tmp_path, {PLAIN: 10.2, WINNER: 90.0}, lambda name, spec: speed(spec.configs[name]))
    (candidates,) = {tuple(spec.configs) for spec in interleave.runs if "/path-" in spec.folder}
    assert candidates == ("baseline", "with-backend", "with-openvino.precision", "with-batch_size", "winner")
    assert [list(step.settings) for step in found.path] == [
        ["backend"],
        ["openvino.precision"],
        ["batch_size"],
        ["allocator"],
    ]
    ratios = [step.ratio.estimate for step in found.path if step.ratio is not None]
    totals = [step.total.estimate for step in found.path if step.total is not None]
    assert totals == pytest.approx([math.prod(ratios[: i + 1]) for i in range(4)])
    assert ratios == pytest.approx([2.2, 3.0, 1.32 / 1.02, 1.1], rel=0.02)
    assert all(step.total is not None and step.total.low is not None for step in found.path)


def test_a_path_that_was_not_measured_names_its_steps_without_figures() -> None:
    found = ablation.stages(LEAN, PLAIN, (), HW)
    path = ablation.path(comparison.table([], ["baseline", *found], 0.95), found)
    assert [(step.settings, step.ratio, step.total) for step in path] == [
        (stage.settings, None, None) for stage in found.values()
    ]
