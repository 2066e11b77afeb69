from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from autotune.cli import invocation, tune
from autotune.core.errors import ModelError, SpaceError, StudyError
from autotune.core.results import Status
from autotune.launch import orphans
from autotune.study.search.transfer import Earlier
from autotune.study.storage import store, study_lock
from tests.lab import HW, SPACE, Lab, made_up
from tests.study import fakes


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    return made_up(tmp_path, monkeypatch)


# ----------------------------------------------------------------------------------------------------------- a study


def test_a_study_from_the_space_file_to_best_json(lab: Lab) -> None:
    measured, text = lab.tune()
    assert measured
    best = lab.best()
    ran = lab.ran[0].configs
    assert len(ran) == 4
    assert best.config == max(ran, key=fakes.speed)
    assert best.measured.speedup.estimate == pytest.approx(fakes.speed(best.config) / fakes.speed(ran[0]))
    assert "nothing is left" not in text
    assert (best.study, best.hardware, best.workload) == ("toy@toy.large", HW, lab.checked[0])
    head, blank, first = text.splitlines()[:6], text.splitlines()[4], text.splitlines()[5]
    assert head[:3] == [
        "torchvision:resnet18 on toy.large: up to 8 configurations, 2 cores",
        f"study     {lab.study}",
        "budget    4 trials",
    ]
    assert re.fullmatch("left out  allocator mimalloc: .* apt-get install .*", head[3])
    assert blank == "" and first.startswith("   1/4  torch_eager contiguous float32, batch 1, 1x2  10.2/s")
    assert re.search(r"\nall trials of the budget are done, after \d+ s\n\nbest      ", text)
    assert text.endswith(
        f"trials    4: 0 given up as clearly slower, 0 failed\nfile      {lab.study / 'best.json'}\n"
        f"next      {invocation.program()} show {shlex.quote(str(lab.study))}\n"
    )


def test_the_same_again_measures_nothing(lab: Lab) -> None:
    lab.tune()
    before = (store.results(lab.study), lab.best())
    measured, text = lab.tune()
    assert measured and lab.ran[1].ran == []
    assert (store.results(lab.study), lab.best()) == before
    assert f"study     {lab.study}, going on after trial 4\n" in text
    assert re.search(
        r"all trials of the budget are done, after .*\n"
        r"nothing is left to do; raise --trials \(4 now\) to search further, "
        r"leave out --skip-confirmation to confirm\n",
        text,
    )


def test_where_no_time_is_left_nothing_is_said_to_be_confirmed(lab: Lab) -> None:
    lab.tune(minutes=10)
    store.write_elapsed(lab.study, 601)
    _, text = lab.tune(minutes=10, skip_confirmation=False)
    assert lab.ran[1].ran == lab.sat[1].asked == [] and "confirming" not in text
    assert (
        "\nthe budget is used up: the time was enough for 0 of the 6 interleaved runs that a claim needs; "
        "the same command goes on, if need be with --minutes raised by 4\n" in text
    )
    _, text = lab.tune(minutes=30, skip_confirmation=False)
    assert "\nconfirming 4 configurations" in text and "nothing is left" not in text and lab.best().confirmed


def test_a_space_that_is_used_up_has_nothing_left(lab: Lab) -> None:
    small = SPACE.replace("[1, 8]", "1").replace("[system, tcmalloc, mimalloc]", "system")
    lab.tune(small, trials=100)
    _, text = lab.tune(small, trials=100)
    assert re.search(
        r"every configuration of the space was tried, after .*\nnothing is left to do; leave out --skip-.*\n", text
    )


def test_the_options_that_the_space_does_not_tell_are_kept(lab: Lab) -> None:
    url = f"sqlite:///{lab.folder}/other.db"
    lab.tune(storage=url)
    assert store.options(lab.study) == store.Options(storage=url, skip_confirmation=True)
    lab.tune(name="own", skip_confirmation=False)
    assert store.options(lab.studies / "own") == store.Options()


def test_a_larger_budget_goes_on(lab: Lab) -> None:
    lab.tune()
    _, text = lab.tune(trials=6)
    assert len(lab.ran[1].ran) == 2
    assert [line.split()[0] for line in text.splitlines() if "/6 " in line] == ["5/6", "6/6"]
    assert not {spec.config for spec in lab.ran[0].ran} & {spec.config for spec in lab.ran[1].ran}


def test_a_study_that_goes_on_after_an_update_says_what_changed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.tune()
    for result in store.results(lab.study)[:2]:
        store.write_result(lab.study, msgspec.structs.replace(result, versions={"torch": "1.0"}))
    _, text = lab.tune(trials=5)
    assert "versions  " not in text
    updated = msgspec.structs.replace(HW, packages=HW.packages | {"torch": "1.1"})
    monkeypatch.setattr(tune.probe, "probe", lambda instance_type=None: updated)
    _, text = lab.tune(trials=6)
    assert "\nversions  torch 1.0, now 1.1: measured by 2 of the trials, which are marked; a confirmation " in text


def test_a_space_may_be_used_up(lab: Lab) -> None:
    _, text = lab.tune(SPACE.replace("[1, 8]", "1").replace("[system, tcmalloc, mimalloc]", "system"), trials=100)
    assert len(lab.ran[0].ran) == 2
    assert "every configuration of the space was tried, after " in text


def test_the_options_override_the_file(lab: Lab) -> None:
    lab.tune(trials=1, minutes=7.5, seed=42, name="mine")
    assert "budget    1 trial or 7.5 minutes\n" in lab.printed
    assert [workload.seed for workload in lab.checked] == [42]
    space = store.space(lab.studies / "mine")
    assert (space.budget.trials, space.budget.minutes, space.workload.seed) == (1, 7.5, 42)
    assert len(lab.ran[0].ran) == 1


def test_without_a_budget_the_introduction_says_so(lab: Lab) -> None:
    lab.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        lab.tune(SPACE.replace("budget: {trials: 4}", ""))
    assert "budget    none: until nothing better is to be expected\n" in lab.printed


def test_no_budget_leaves_the_others_in_force(lab: Lab) -> None:
    lab.tune(trials=2, no_budget=True)
    assert "budget    2 trials\n" in lab.printed and len(lab.ran[0].ran) == 2


def test_a_sampler_that_was_chosen_is_said(lab: Lab) -> None:
    assert "sampler " not in lab.tune()[1]
    assert "\nsampler   random\n" in lab.tune(name="other", sampler="random")[1]
    with pytest.raises(StudyError, match="there is no sampler ''"):
        lab.tune(name="third", sampler="")


def test_only_one_trial_is_its_own_best(lab: Lab) -> None:
    measured, text = lab.tune(trials=1)
    assert measured and lab.best().measured.speedup.estimate == 1
    assert "seems     1.00x" in text


def test_names_are_printed_as_they_are(lab: Lab) -> None:
    studies = lab.folder / ("[red]:x: " + "long" * 30)
    lab.tune(studies=studies)
    assert f"study     {studies / 'toy@toy.large'}\n" in lab.printed
    assert f"show {shlex.quote(str(studies / 'toy@toy.large'))}\n" in lab.printed


# ------------------------------------------------------------------------------------------------- the confirmation


def test_what_the_search_found_is_confirmed(lab: Lab) -> None:
    measured, text = lab.tune(skip_confirmation=False)
    best = lab.best()
    assert measured and best.confirmed
    assert best.config == max(lab.ran[0].configs, key=fakes.speed)
    claim = best.measured.speedup
    assert claim.estimate == pytest.approx(fakes.speed(best.config) / fakes.speed(fakes.plain(HW)), rel=0.02)
    assert claim.runs is not None and claim.runs >= 6 and best.measured.noise_floor is not None
    assert not lab.held
    lines = text.splitlines()
    ended = lines.index(next(line for line in lines if line.startswith("all trials of the budget are done, after ")))
    assert lines[ended + 1].startswith("confirming 4 configurations against each other")
    assert lines[ended + 2].startswith("measuring what each setting of the winner is worth")
    (said,) = [line for line in lines if line.startswith("speed-up")]
    assert said.endswith(f" over the plain model, confirmed in {claim.runs} interleaved runs, {claim.rounds} rounds")
    assert "what each setting is worth: the winner with it over the winner without it" in lines
    assert f"file      {lab.study / 'best.json'}" in lines


def test_without_a_confirmation_nobody_sits_and_nothing_is_claimed(lab: Lab) -> None:
    _, text = lab.tune()
    assert lab.sat[0].asked == []
    assert not lab.best().confirmed and lab.best().measured.speedup.runs is None
    assert "from the search's own windows, not confirmed by a second measurement\n" in text
    assert not (lab.study / "confirmation.json").exists()


@pytest.mark.parametrize(("skip", "limit_s"), [(True, 600), (False, 400)])
def test_a_part_of_the_minutes_is_kept_for_the_confirmation(lab: Lab, skip: bool, limit_s: float) -> None:
    lab.tune(minutes=10, skip_confirmation=skip)
    limit = lab.ran[0].rules[0].trial_timeout_s
    assert limit is not None and limit_s - 60 < limit <= limit_s


def test_a_study_that_was_only_searched_is_confirmed_later(lab: Lab) -> None:
    lab.tune()
    results = store.results(lab.study)
    lab.tune(skip_confirmation=False)
    assert lab.ran[1].ran == [] and store.results(lab.study) == results
    assert lab.best().confirmed


def test_a_confirmed_study_is_not_confirmed_again(lab: Lab) -> None:
    _, first = lab.tune(skip_confirmation=False)
    before = lab.best()
    _, again = lab.tune(skip_confirmation=False)
    assert lab.ran[1].ran == lab.sat[1].asked == []
    assert lab.best() == before
    assert again.partition("\nbest ")[2] == first.partition("\nbest ")[2]


def test_a_claim_survives_an_extension_that_is_interrupted_at_once(lab: Lab) -> None:
    lab.tune(skip_confirmation=False)
    best, claim = lab.best(), store.confirmation(lab.study)
    assert best.confirmed
    lab.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        lab.tune(trials=6, skip_confirmation=False)
    assert (lab.best(), store.confirmation(lab.study)) == (best, claim)


def test_a_claim_stands_until_a_better_trial_is_confirmed(lab: Lab) -> None:
    lab.tune(skip_confirmation=False)
    best = lab.best()
    lab.behave = lambda config: 1000.0
    lab.interrupt_run_at = 1
    with pytest.raises(KeyboardInterrupt):
        lab.tune(trials=6, skip_confirmation=False)
    assert lab.best() == best
    claim = store.confirmation(lab.study)
    assert claim is not None and not claim.finished
    lab.tune(trials=6)
    assert not lab.best().confirmed and lab.best().trial not in range(4)


def test_an_interrupted_confirmation_says_how_to_go_on_and_does(lab: Lab) -> None:
    lab.interrupt_run_at = 4
    with pytest.raises(KeyboardInterrupt):
        lab.tune(skip_confirmation=False)
    lines = lab.printed.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      onnxruntime")
    assert lines[-1].startswith("go on     ")
    assert not lab.best().confirmed and not lab.held
    lab.interrupt_run_at = None
    lab.tune(skip_confirmation=False)
    assert lab.ran[1].ran == []
    assert lab.sat[1].asked[0].folder == lab.sat[0].asked[3].folder
    assert lab.best().confirmed


# ----------------------------------------------------------------------------------------------------- what goes wrong


def test_an_interruption_prints_the_best_so_far_and_how_to_go_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["--space", str(lab.folder / "toy.yaml"), "--studies", "my studies"]
    monkeypatch.setattr(sys, "argv", ["autotune", *command])
    lab.interrupt_at = 2
    with pytest.raises(KeyboardInterrupt):
        lab.tune()
    lines = lab.printed.splitlines()
    assert lines[lines.index("interrupted; what is finished is kept") + 1].startswith("best      ")
    (last,) = [line for line in lines if line.startswith("go on ")]
    assert shlex.split(last.removeprefix("go on")) == [*shlex.split(invocation.program()), *command]
    assert lines[-1] == last
    assert len(store.results(lab.study)) == 3
    before = lab.best()
    assert before.config in lab.ran[0].configs

    lab.interrupt_at = None
    lab.tune()
    assert "going on after trial 2\n" in lab.printed
    settled = [found for found in store.results(lab.study) if found.status is Status.OK]
    assert len(settled) == 4 and len(lab.ran[1].ran) == 2


def test_an_interruption_before_the_first_result_leaves_no_best_json(lab: Lab) -> None:
    lab.interrupt_at = 0
    with pytest.raises(KeyboardInterrupt):
        lab.tune()
    assert not (lab.study / "best.json").exists()
    assert f"go on     {invocation.program()}" in lab.printed


def test_a_study_that_another_process_has_taken_meanwhile_is_left_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins between the check and the opening, and has a worker by then."""
    lab.tune()
    with contextlib.ExitStack() as other:

        def find(folder: Path, *_: object) -> Earlier:
            other.enter_context(study_lock.locked(folder))
            other.enter_context(running)
            orphans.note(folder / "trials" / "00003" / "processes.json", [running.pid])
            return Earlier()

        running = subprocess.Popen(["sleep", "90"], start_new_session=True)
        monkeypatch.setattr(tune.transfer, "find", find)
        with pytest.raises(StudyError, match="is being written by process"):
            lab.tune(trials=6)
        assert running.poll() is None
        running.kill()


def test_an_edit_of_the_space_file_while_the_machine_is_checked_changes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object) -> None:
        (lab.folder / "toy.yaml").write_text("name: another\n")

    monkeypatch.setattr(lab, "check", check)
    assert lab.tune()[0]
    assert (lab.study / "space.yaml").read_text() == SPACE


def test_a_space_file_in_another_encoding_is_one_line(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find", lambda _: lab.folder / "latin.yaml")
    (lab.folder / "latin.yaml").write_bytes(SPACE.encode() + "# größe\n".encode("latin-1"))
    with pytest.raises(SpaceError, match=r"latin\.yaml, line 12, is not UTF-8; save it as UTF-8"):
        lab.tune()


def test_nothing_measured_is_no_success(lab: Lab) -> None:
    lab.behave = lambda config: Status.INTERRUPTED
    measured, text = lab.tune()
    assert not measured
    assert "\nthey were too few for a trial; raise --minutes\n" in text
    assert "No configuration has been measured." in text
    assert not (lab.study / "best.json").exists()


def test_a_workload_that_cannot_be_built_leaves_no_folder(lab: Lab) -> None:
    lab.broken = True
    with pytest.raises(ModelError):
        lab.tune()
    assert not lab.studies.exists()
    assert lab.printed == ""


def test_a_failure_says_why_in_its_line(lab: Lab) -> None:
    lab.behave = lambda found: Status.TIMEOUT if found.backend == "onnxruntime" else fakes.speed(found)
    _, text = lab.tune()
    line = next(line for line in text.splitlines() if "onnxruntime" in line)
    assert re.search(r"timeout  a made-up timeout \(trial \d\)$", line)
    failed = sum(found.backend == "onnxruntime" for found in lab.ran[0].configs)
    assert failed > 0 and f", {failed} failed\n" in text


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-x", "a b", "ä", "a\nb", "x" * 20 + "/"])
def test_a_study_has_a_plain_name(lab: Lab, name: str) -> None:
    with pytest.raises(StudyError, match=r"cannot be named .*; allowed are letters, digits and \._@\+-"):
        lab.tune(name=name) if name else tune._checked_name(name)
    assert os.listdir(lab.folder) in (["toy.yaml"], [])


def test_ordinary_names_are_taken(lab: Lab) -> None:
    lab.tune(name="A1._@+-z", trials=1)
    assert (lab.studies / "A1._@+-z" / "best.json").exists()
