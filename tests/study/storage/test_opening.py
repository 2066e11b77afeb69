from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import optuna
import pytest

from autotune.core.errors import StudyError
from autotune.core.machine import Hardware
from autotune.core.space_types import Budget, Exclusion, Limit, Price, Space, TimeLimits
from autotune.core.specs import TrialSpec
from autotune.study.storage import store, upgrade
from autotune.study.storage.opening import opened
from tests.fake_executor import measured
from tests.report.made import confirmation, winner
from tests.study.fakes import DOMAINS, SMALL, TEXT, WORKLOAD, machine, on_disk, plain, resolved

HW = machine()
SPACE = resolved(HW, SMALL, trials=5)


def test_a_new_study_is_a_folder_that_says_all(tmp_path: Path) -> None:
    folder = tmp_path / "studies" / "toy@here"
    with on_disk(folder, SPACE, HW) as study:
        assert study.optuna.study_name == "toy@here"
        assert study.optuna.user_attrs["study"].startswith("torchvision:resnet18 on toy, 2 CPUs")
    assert {path.name for path in folder.iterdir()} >= {"space.yaml", "hardware.json", "domains.json", "study.db"}
    assert (store.text(folder), store.space(folder), store.hardware(folder)) == (TEXT, upgrade.space(SPACE), HW)
    assert [path.name for path in folder.parent.iterdir()] == ["toy@here"]


def test_a_study_goes_on_with_another_budget_and_text_of_the_same_meaning(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW) as study:
        study.optuna.tell(study.optuna.ask(), 1.0)
    larger = msgspec.structs.replace(SPACE, budget=Budget(trials=50, minutes=3), limits=TimeLimits(setup_s=900))
    with opened(tmp_path / "s", larger, "name: toy  # a comment\n", HW) as study:
        assert study.space == upgrade.space(larger)
        assert len(study.optuna.trials) == 1
    assert store.space(tmp_path / "s").budget == Budget(trials=5)


def test_the_domains_are_those_of_the_beginning_though_something_was_installed(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    with on_disk(tmp_path / "s", msgspec.structs.replace(SPACE, domains=DOMAINS), HW) as study:
        assert study.space == upgrade.space(SPACE)


def test_a_study_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """It knew fewer knobs and options: they are at their defaults."""
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    plain = json.loads((tmp_path / "s" / "domains.json").read_text())
    for part in (plain["domains"]["knobs"], plain["baseline"]["knobs"]):
        for name in set(part) - {"allocator", "layout"}:
            del part[name]
    plain["baseline"]["options"] = {"memory_format": "contiguous"}
    (tmp_path / "s" / "domains.json").write_text(json.dumps(plain))
    with opened(tmp_path / "s", SPACE, "name: toy  # a comment\n", HW) as study:
        assert study.space == upgrade.space(SPACE)


def changed(**fields: object) -> Space:
    return msgspec.structs.replace(SPACE, **fields)


def searching(**fields: object) -> Space:
    return changed(domains=msgspec.structs.replace(SMALL, **fields))


@pytest.mark.parametrize(
    ("space", "difference"),
    [
        (searching(batch_size=(1, 4)), r"search\.batch_size = \[1,8\], which is now \[1,4\]"),
        (searching(knobs={}), r'search\.allocator = \["system","tcmalloc"\], which is now \["system"\]'),
        (searching(backends={"torch_eager": {}}), r"search\.backend\.onnxruntime = .*, which is now absent"),
        (changed(baseline=plain(HW, 8)), r"baseline\.workload\.batch_size = 1, which is now 8; put it back"),
        (resolved(HW, SMALL, seed=7), r"workload\.seed = 0, which is now 7; give --seed 0"),
    ],
)
def test_another_space_is_refused_by_its_first_difference(tmp_path: Path, space: Space, difference: str) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    before = {path: path.read_bytes() for path in (tmp_path / "s").iterdir() if path.is_file()}
    with (
        pytest.raises(StudyError, match=f"began with {difference}.*, or choose another --name"),
        opened(tmp_path / "s", space, "name: other\n", HW),
    ):
        pass
    assert {path: path.read_bytes() for path in (tmp_path / "s").iterdir() if path.is_file()} == before


def test_another_seed_is_refused_though_the_file_is_the_same(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    with pytest.raises(StudyError, match=r"workload\.seed"), on_disk(tmp_path / "s", resolved(HW, SMALL, seed=7), HW):
        pass


def test_another_machine_is_refused(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    with (
        pytest.raises(StudyError, match=r"another type of machine \(toy, 2 CPUs, .* this one is toy, 4 CPUs.* --name"),
        on_disk(tmp_path / "s", SPACE, machine(4)),
    ):
        pass


def test_two_coordinators_do_not_write_one_study(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        with (
            pytest.raises(StudyError, match=rf"is being written by process {os.getpid()}; wait for it"),
            on_disk(tmp_path / "s", SPACE, HW),
        ):
            pass
        assert (tmp_path / "s" / "lock").read_text() == str(os.getpid())
    with on_disk(tmp_path / "s", SPACE, HW):
        pass


@pytest.mark.parametrize("name", ["domains.json", "hardware.json"])
def test_a_newer_format_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    path = tmp_path / "s" / name
    path.write_bytes(msgspec.json.encode({**msgspec.json.decode(path.read_bytes()), "format": 9, "new": 1}))
    with pytest.raises(StudyError, match=rf"{name} has format 9.*update autotune"), on_disk(tmp_path / "s", SPACE, HW):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("years of work")
    with pytest.raises(StudyError, match=r"exists and is not a study"), on_disk(tmp_path / "s", SPACE, HW):
        pass
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["thesis.tex"]


def test_an_empty_folder_may_become_a_study(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    with on_disk(tmp_path / "s", SPACE, HW):
        assert store.exists(tmp_path / "s")


@pytest.mark.parametrize("url", ["postgresql://user:secret@127.0.0.1:1/x", "sqlite:////nowhere/x.db", "nonsense"])
def test_a_storage_out_of_reach_leaves_no_folder(tmp_path: Path, url: str) -> None:
    with pytest.raises(StudyError, match="cannot be used") as caught, on_disk(tmp_path / "s", SPACE, HW, url):
        pass
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_storage_of_the_users_holds_the_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    for name in ("a", "b"):
        with on_disk(tmp_path / name, SPACE, HW, url) as study:
            study.optuna.tell(study.optuna.ask(), 1.0)
    assert not (tmp_path / "a" / "study.db").exists()
    assert sorted(optuna.get_all_study_names(url)) == ["a", "b"]
    with on_disk(tmp_path / "a", SPACE, HW, url) as study:
        assert len(study.optuna.trials) == 1


def test_a_name_that_the_storage_gave_to_another_folder_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    with on_disk(tmp_path / "here" / "s", SPACE, HW, url):
        pass
    with (
        pytest.raises(StudyError, match=r"shared\.db already has a study 's'"),
        on_disk(tmp_path / "there" / "s", SPACE, HW, url),
    ):
        pass
    assert not (tmp_path / "there").exists()
    with on_disk(tmp_path / "there" / "s", resolved(HW, DOMAINS), HW):
        pass
    with (
        pytest.raises(StudyError, match=r"has another study 's' \(torchvision:resnet18 on toy"),
        on_disk(tmp_path / "there" / "s", resolved(HW, DOMAINS), HW, url),
    ):
        pass


def test_a_database_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    for path in (tmp_path / "s").glob("study.db*"):
        path.unlink()
    with on_disk(tmp_path / "s", SPACE, HW) as study:
        assert study.optuna.trials == []


def failing(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(Path, "write_bytes", failing(code))
    with (
        pytest.raises(StudyError, match=rf"the study folder .*/s cannot be made: {os.strerror(code)}; .*--studies"),
        on_disk(tmp_path / "s", SPACE, HW),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudyError, match="cannot be made: "), on_disk(tmp_path / "file" / "s", SPACE, HW):
        pass


def test_hardware_of_the_same_type_may_have_other_packages(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    updated: Hardware = msgspec.structs.replace(HW, packages={"torch": "2.0"})
    with on_disk(tmp_path / "s", SPACE, updated) as study:
        assert study.hardware == updated


# -------------------------------------------------------------------------------------------------------------- prices


def test_another_price_takes_the_place_of_the_first(tmp_path: Path) -> None:
    limit = Limit(metric="cost_per_million", max=10.0)  # 100 an hour at 10 a second: 2,778 a million
    space = msgspec.structs.replace(SPACE, price=Price(per_hour=0.3), constraints=(limit,))
    with on_disk(tmp_path / "s", space, HW) as study:
        spec = TrialSpec(id=0, workload=WORKLOAD, config=plain(HW), folder=store.trial_folder(0))
        (study.folder / spec.folder).mkdir()
        store.write_result(study.folder, measured(spec, 10.0))
        store.write_confirmation(study.folder, confirmation(winner(plain(HW))))
    with on_disk(tmp_path / "s", space, HW):
        assert store.confirmation(tmp_path / "s") is not None
    dear = msgspec.structs.replace(space, price=Price(per_hour=100.0))
    with on_disk(tmp_path / "s", dear, HW) as study:
        assert study.space.price == Price(per_hour=100.0)
    assert store.space(tmp_path / "s").price == Price(per_hour=100.0)
    assert [one.feasible for one in store.results(tmp_path / "s")] == [False]
    assert store.confirmation(tmp_path / "s") is None
    with on_disk(tmp_path / "s", msgspec.structs.replace(space, price=None), HW) as study:
        assert study.space.price == Price(per_hour=100.0)


def test_another_price_leaves_a_claim_that_no_cost_decides(tmp_path: Path) -> None:
    claim = confirmation(winner(plain(HW), metrics={"throughput": 10.0, "cost_per_million": 8.3}))
    space = msgspec.structs.replace(SPACE, price=Price(per_hour=0.3))
    with on_disk(tmp_path / "s", space, HW) as study:
        store.write_confirmation(study.folder, claim)
    with on_disk(tmp_path / "s", msgspec.structs.replace(space, price=Price(per_hour=1.0)), HW):
        pass
    without = winner(plain(HW), metrics={"throughput": 10.0})
    assert store.confirmation(tmp_path / "s") == msgspec.structs.replace(claim, winner=without, finished=False)


def test_a_file_without_a_price_for_this_machine_is_said_again(tmp_path: Path) -> None:
    with on_disk(tmp_path / "s", SPACE, HW):
        pass
    missing = Exclusion(setting="prices", value="mine.yaml", reason="it has none for toy")
    with on_disk(tmp_path / "s", msgspec.structs.replace(SPACE, excluded=(missing,)), HW) as study:
        assert study.space.excluded == (missing,)
    with on_disk(tmp_path / "s", SPACE, HW) as study:
        assert study.space.excluded == ()
