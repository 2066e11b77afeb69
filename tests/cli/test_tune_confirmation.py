"""The confirmation at the end of `tune`."""

from __future__ import annotations

import pytest

from autotune.core.rules import MeasureRules
from autotune.core.specs import InterleavedSpec, TrialSpec
from autotune.study.storage import store
from tests.fake_executor import speed
from tests.study import fakes
from tests.tune_harness import HW, SPACE, TuneHarness


def test_where_no_time_is_left_nothing_is_said_to_be_confirmed(harness: TuneHarness) -> None:
    harness.tune(minutes=10)
    store.write_elapsed(harness.study, 601)
    _, text = harness.tune(minutes=10, skip_confirmation=False)
    assert harness.executors[1].trials == harness.executors[1].runs == [] and "confirming" not in text
    assert (
        "\nthe budget is used up: the time was enough for 0 of the 6 interleaved runs that a claim needs; "
        "the same command goes on, if need be with --minutes raised by 4\n" in text
    )
    _, text = harness.tune(minutes=30, skip_confirmation=False)
    assert "\nconfirming 2 configurations" in text and "nothing is left" not in text and harness.best().confirmed


def test_what_the_search_found_is_confirmed(harness: TuneHarness) -> None:
    measured, text = harness.tune(skip_confirmation=False)
    best = harness.best()
    assert measured and best.confirmed
    assert best.config == max(harness.executors[0].configs, key=speed)
    claim = best.measured.speedup
    assert claim.estimate == pytest.approx(speed(best.config) / speed(fakes.plain(HW)), rel=0.02)
    assert claim.runs is not None and claim.runs >= 3
    assert not harness.held
    lines = text.splitlines()
    ended = lines.index(next(line for line in lines if line.startswith("all trials of the budget are done, after ")))
    begun = [
        "confirming 2 configurations against each other",
        "telling the best of them apart",
        "measuring what each setting of the winner is worth",
    ]
    assert [line.partition(", up to about ")[0] for line in lines[ended + 1 : ended + 4]] == begun
    (said,) = [line for line in lines if line.startswith("speed-up")]
    assert said.endswith(f" over the baseline, confirmed in {claim.runs} interleaved runs, {claim.rounds} rounds")
    assert "what each setting is worth: the winner with it over the winner without it" in lines
    assert f"file      {harness.study / 'best.json'}" in lines


def test_a_first_claim_is_in_best_json_even_if_the_run_is_killed(
    harness: TuneHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(self: TuneHarness, spec: TrialSpec | InterleavedSpec, rules: MeasureRules) -> None:
        known = store.confirmation(harness.study)
        if known is not None and known.confirmed:
            raise SystemExit

    monkeypatch.setattr(TuneHarness, "_before", kill)
    large = SPACE.replace("[1, 8]", "[1, 2, 4, 8, 16, 32, 64]").replace("{trials: 4}", "{trials: 100, minutes: 30}")
    with pytest.raises(SystemExit):
        harness.tune(large, skip_confirmation=False)
    best = harness.best()
    assert best.confirmed and best.measured.speedup.runs == 3
    assert "confirmed so far" in harness.printed and "best      " not in harness.printed


def test_without_a_confirmation_nobody_sits_and_nothing_is_claimed(harness: TuneHarness) -> None:
    _, text = harness.tune()
    assert harness.executors[0].runs == []
    assert not harness.best().confirmed and harness.best().measured.speedup.runs is None
    assert "from the search alone: not confirmed\n" in text
    assert not (harness.study / "confirmation.json").exists()


@pytest.mark.parametrize(("skip", "limit_s"), [(True, 600), (False, 300)])
def test_a_part_of_the_minutes_is_kept_for_the_confirmation(harness: TuneHarness, skip: bool, limit_s: float) -> None:
    harness.tune(minutes=10, skip_confirmation=skip)
    limit = harness.executors[0].rules[0].trial_timeout_s
    assert limit is not None and limit_s - 60 < limit <= limit_s


def test_a_study_that_was_only_searched_is_confirmed_later(harness: TuneHarness) -> None:
    harness.tune()
    results = store.results(harness.study)
    harness.tune(skip_confirmation=False)
    assert harness.executors[1].trials == [] and store.results(harness.study) == results
    assert harness.best().confirmed


def test_a_confirmed_study_is_not_confirmed_again(harness: TuneHarness) -> None:
    _, first = harness.tune(skip_confirmation=False)
    before = harness.best()
    _, again = harness.tune(skip_confirmation=False)
    assert harness.executors[1].trials == harness.executors[1].runs == []
    assert harness.best() == before
    assert again.partition("\nbest ")[2] == first.partition("\nbest ")[2]


def test_a_claim_survives_an_extension_that_is_interrupted_at_once(harness: TuneHarness) -> None:
    harness.tune(skip_confirmation=False)
    best, claim = harness.best(), store.confirmation(harness.study)
    assert best.confirmed
    harness.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        harness.tune(trials=6, skip_confirmation=False)
    assert (harness.best(), store.confirmation(harness.study)) == (best, claim)


def test_a_claim_stands_until_a_better_trial_is_confirmed(harness: TuneHarness) -> None:
    harness.tune(skip_confirmation=False)
    best = harness.best()
    harness.behave = lambda config: 1000.0
    harness.interrupt_run_at = 1
    with pytest.raises(KeyboardInterrupt):
        harness.tune(trials=6, skip_confirmation=False)
    kept = harness.best()
    assert (kept.confirmed, kept.config) == (True, best.config)
    assert kept.measured.speedup.estimate == pytest.approx(best.measured.speedup.estimate)
    claim = store.confirmation(harness.study)
    assert claim is not None and not claim.finished
    harness.tune(trials=6)
    assert not harness.best().confirmed and harness.best().trial not in range(4)


def test_an_interrupted_confirmation_says_how_to_go_on_and_does(harness: TuneHarness) -> None:
    harness.interrupt_run_at = 3
    with pytest.raises(KeyboardInterrupt):
        harness.tune(skip_confirmation=False)
    lines = harness.printed.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert lines[-1].startswith("go on     ")
    assert not harness.best().confirmed and not harness.held
    harness.interrupt_run_at = None
    harness.tune(skip_confirmation=False)
    assert harness.executors[1].trials == []
    assert harness.executors[1].runs[0].folder == harness.executors[0].runs[2].folder
    assert harness.best().confirmed
