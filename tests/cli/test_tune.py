from __future__ import annotations

import re
import shlex

import msgspec
import pytest

from autotune.cli import invocation, tune
from autotune.core.errors import StudyError
from autotune.report.text import summary
from autotune.study.storage import store
from tests.fake_executor import speed
from tests.tune_harness import HW, SPACE, TuneHarness

# ----------------------------------------------------------------------------------------------------------- a study


def test_a_study_from_the_space_file_to_best_json(harness: TuneHarness) -> None:
    measured, text = harness.tune()
    assert measured
    best = harness.best()
    ran = harness.executors[0].configs
    assert len(ran) == 4
    assert best.config == max(ran, key=speed)
    assert best.measured.speedup.low < speed(best.config) / speed(ran[0]) < best.measured.speedup.high
    assert "nothing is left" not in text
    assert (best.study, best.hardware, best.workload) == ("toy@toy.large", HW, harness.executors[0].checked[0])
    head, (blank, phase, first) = text.splitlines()[:4], text.splitlines()[4:7]
    assert head[:3] == [
        "torchvision:resnet18 on toy.large: up to 8 configurations, 2 cores",
        f"study     {harness.study}",
        "budget    4 trials",
    ]
    assert re.fullmatch("left out  allocator mimalloc: .* apt-get install .*", head[3])
    assert (blank, phase) == ("", "search: ends early once nothing more is to be gained; at most 4 trials")
    assert first.startswith("   1/4  torch_eager contiguous float32, batch 1, 1x2  10.2/s")
    assert re.search(r"\nall trials of the budget are done, after .* s\n\nbest      ", text)
    assert text.endswith(
        f"trials    4: 0 given up as clearly slower, 0 failed\n{'':9} {summary.WINDOWS}\n"
        f"file      {harness.study / 'best.json'}\n"
        f"next      {invocation.program()} show {shlex.quote(str(harness.study))}\n"
    )


def test_the_same_again_measures_nothing(harness: TuneHarness) -> None:
    harness.tune()
    before = (store.results(harness.study), harness.best())
    measured, text = harness.tune()
    assert measured and harness.executors[1].trials == []
    assert (store.results(harness.study), harness.best()) == before
    assert f"study     {harness.study}, going on after trial 4\n" in text
    assert re.search(
        r"all trials of the budget are done, after .*\n"
        r"nothing is left to do; raise --trials \(4 now\) to search further, "
        r"leave out --skip-confirmation to confirm\n",
        text,
    )


def test_a_space_that_is_used_up_has_nothing_left(harness: TuneHarness) -> None:
    small = SPACE.replace("[1, 8]", "1").replace("[system, tcmalloc, mimalloc]", "system")
    _, text = harness.tune(small, trials=100)
    assert len(harness.executors[0].trials) == 2
    assert "every configuration of the space was tried, after " in text and "nothing is left" not in text
    _, text = harness.tune(small, trials=100)
    assert re.search(
        r"every configuration of the space was tried, after .*\nnothing is left to do; leave out --skip-.*\n", text
    )


def test_a_search_that_settled_goes_on_for_no_more_budget(harness: TuneHarness) -> None:
    large = SPACE.replace("[1, 8]", "[1, 2, 4, 8, 16, 32, 64]").replace("{trials: 4}", "{trials: 100, minutes: 30}")
    _, text = harness.tune(large, skip_confirmation=False)
    assert len(harness.executors[0].trials) < 20
    assert re.search(
        r"\nconfirming 2 .*\nconfirmed so far: \d.\d\dx \(.*\), onnxruntime .*; the search goes on\n", text
    )
    assert re.search(
        r"\nthe search ended early: nothing untried that is likely to run promises another 3 %, after .* s; "
        r"of the \d+ min \d\d s that are left the confirmation is predicted to need .* s"
        r"\ntelling the best of them apart, up to about ",
        text,
    )
    assert harness.best().confirmed
    before = (store.results(harness.study), harness.best())
    for options in ({}, {"trials": 500}, {"minutes": 60}, {"no_budget": True}):
        _, text = harness.tune(large, skip_confirmation=False, **options)
        assert harness.executors[-1].trials == harness.executors[-1].runs == []
        early = "" if options == {"no_budget": True} else "the search ended early: "
        assert re.search(
            rf"\n{early}nothing untried .* promises another 3 %, after .* s\nnothing is left to do\n", text
        )
        assert (store.results(harness.study), harness.best()) == before


def test_the_options_that_the_space_does_not_tell_are_kept(harness: TuneHarness) -> None:
    url = f"sqlite:///{harness.folder}/other.db"
    harness.tune(storage=url)
    assert store.options(harness.study) == store.Options(storage=url, skip_confirmation=True)
    harness.tune(name="own", skip_confirmation=False)
    assert store.options(harness.studies / "own") == store.Options()


def test_a_larger_budget_goes_on(harness: TuneHarness) -> None:
    harness.tune()
    _, text = harness.tune(trials=6)
    assert len(harness.executors[1].trials) == 2
    assert [line.split()[0] for line in text.splitlines() if "/6 " in line] == ["5/6", "6/6"]
    assert not {spec.config for spec in harness.executors[0].trials} & {
        spec.config for spec in harness.executors[1].trials
    }


def test_a_study_that_goes_on_after_an_update_says_what_changed(
    harness: TuneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.tune()
    for result in store.results(harness.study)[:2]:
        store.write_result(harness.study, msgspec.structs.replace(result, versions={"torch": "1.0"}))
    _, text = harness.tune(trials=5)
    assert "versions  " not in text
    updated = msgspec.structs.replace(HW, packages=HW.packages | {"torch": "1.1"})
    monkeypatch.setattr(tune.probe, "probe", lambda instance_type=None: updated)
    _, text = harness.tune(trials=6)
    assert "\nversions  torch 1.0, now 1.1: measured by 2 of the trials, which are marked; no claim " in text


def test_the_options_override_the_file(harness: TuneHarness) -> None:
    harness.tune(trials=1, minutes=7.5, seed=42, name="mine")
    assert "budget    1 trial or 7.5 minutes\n" in harness.printed
    assert [workload.seed for executor in harness.executors for workload in executor.checked] == [42]
    space = store.space(harness.studies / "mine")
    assert (space.budget.trials, space.budget.minutes, space.workload.seed) == (1, 7.5, 42)
    assert len(harness.executors[0].trials) == 1


def test_no_budget_leaves_the_others_in_force(harness: TuneHarness) -> None:
    harness.tune(trials=2, no_budget=True)
    assert "budget    2 trials\n" in harness.printed and len(harness.executors[0].trials) == 2


def test_a_sampler_that_was_chosen_is_said(harness: TuneHarness) -> None:
    assert "sampler " not in harness.tune()[1]
    assert "\nsampler   random\n" in harness.tune(name="other", sampler="random")[1]
    with pytest.raises(StudyError, match="there is no sampler ''"):
        harness.tune(name="third", sampler="")


def test_only_one_trial_is_its_own_best(harness: TuneHarness) -> None:
    measured, text = harness.tune(trials=1)
    assert measured and harness.best().measured.speedup.estimate == 1
    assert "expected  1.00x" in text


def test_names_are_printed_as_they_are(harness: TuneHarness) -> None:
    studies = harness.folder / ("[red]:x: " + "long" * 30)
    harness.tune(studies=studies)
    assert f"study     {studies / 'toy@toy.large'}\n" in harness.printed
    assert f"show {shlex.quote(str(studies / 'toy@toy.large'))}\n" in harness.printed
