"""Opening a study: a new one, or one to go on with, after every check and with nothing half-written."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import optuna

from autotune.core.errors import StudyError
from autotune.core.files import write_atomically
from autotune.core.machine import Hardware
from autotune.core.space_types import PRICES, Space
from autotune.core.struct import digest
from autotune.launch import orphans
from autotune.space import int8
from autotune.study.ranking import Ranking
from autotune.study.storage import database, disk_errors, store, upgrade
from autotune.study.storage.study_lock import locked

COST = "cost_per_million"


@dataclass(frozen=True)
class OpenStudy:
    """A study of which this process is the only writer."""

    folder: Path
    space: Space
    hardware: Hardware
    optuna: optuna.Study


def check(folder: Path, space: Space, text: str, hw: Hardware) -> None:
    """StudyError where `opened` would refuse the folder; nothing of the study is made or changed.

    What a killed coordinator left running is ended here, while the lock is held: another one's may be running.
    """
    if not store.exists(folder):
        _check_free(folder)
        return
    _check_same(folder, int8.as_before(space, store.space(folder).excluded), text, hw)
    with locked(folder):
        kill_orphans(folder)


def kill_orphans(folder: Path) -> None:
    """End what a killed coordinator of this study left behind, in trials and in the confirmation; hold the lock."""
    for record in (*folder.glob("trials/*/processes.json"), *folder.glob("confirmation/**/processes.json")):
        orphans.kill(record)


@contextlib.contextmanager
def opened(folder: Path, space: Space, text: str, hw: Hardware, url: str | None = None) -> Iterator[OpenStudy]:
    """The study in `folder`, begun if there is none, for as long as the context lasts.

    `text` is the space file's content and `space` what it resolves to here; a study that goes on keeps the domains it
    began with and takes only the budget and the time limits, and the price where there is one. `url` names another
    storage than the folder's own. StudyError if the folder belongs to another space, another type of machine or another
    process, or if the storage cannot be used.
    """
    if not store.exists(folder):
        _check_free(folder)
        if url is not None:
            # Reached before anything is written, so that a mistyped URL leaves no folder behind.
            with database.connected(url) as found:
                _check_unused(found, folder.name, url)
        _create(folder, space, text, hw)
    url = url or database.own(folder)
    _check_same(folder, space, text, hw)
    with disk_errors.reported(folder), locked(folder), database.connected(url) as found:
        if space.price is not None and space.price != store.space(folder).price:
            _reprice(folder, space)
        frozen = _today(store.space(folder), space)
        study = database.study(found, folder.name, frozen.goal)
        _claim(study, frozen, hw, url)
        yield OpenStudy(folder=folder, space=frozen, hardware=hw, optuna=study)


# --------------------------------------------------------------------------------------------------------- checks


def _check_free(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError(f"{folder} exists and is not a study (it has no domains.json); choose another --name")


def _check_same(folder: Path, space: Space, text: str, hw: Hardware) -> None:
    machine = store.hardware(folder)
    if machine.fingerprint != hw.fingerprint:
        raise StudyError(
            f"the study {folder} began on another type of machine ({_machine(machine)}; this one is {_machine(hw)}); "
            "choose another --name"
        )
    before, now = _view(store.space(folder)), _view(upgrade.space(space))
    if text == store.text(folder):
        # The same file may resolve otherwise after something was installed: a study keeps what it began with.
        for key in ("search", "baseline", "constraints"):
            del before[key], now[key]
    if found := _difference(before, now):
        key, old, new = found
        advice = f"give --seed {old}" if key == "workload.seed" else "put it back"
        raise StudyError(
            f"the study {folder} began with {key} = {_short(old)}, which is now {_short(new)}; "
            f"{advice}, or choose another --name"
        )


def _view(space: Space) -> dict[str, Any]:
    """The parts of a space that must not change, by the names that a space file has for them."""
    plain = msgspec.to_builtins(space)
    domains = plain["domains"]
    search = {"batch_size": domains["batch_size"], **domains["knobs"], "backend": domains["backends"]}
    return {name: plain[name] for name in ("workload", "objective", "constraints", "baseline")} | {"search": search}


def _difference(before: Any, now: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """The first key that differs, with both values."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return None if before == now else (path, before, now)
    for key in dict.fromkeys([*before, *now]):
        found = _difference(before.get(key), now.get(key), f"{path}.{key}" if path else key)
        if found:
            return found
    return None


def _short(value: Any) -> str:
    return "absent" if value is None else msgspec.json.encode(value).decode()


def _machine(hw: Hardware) -> str:
    return f"{hw.instance_type or hw.cpu_model}, {len(hw.allowed_cpus)} CPUs, {hw.fingerprint}"


def _check_unused(found: optuna.storages.BaseStorage, name: str, url: str) -> None:
    if name in optuna.get_all_study_names(found):
        raise StudyError(
            f"the storage {database.shown(url)} already has a study {name!r}, whose folder is not here; "
            "choose another --name, or delete it there"
        )


def _claim(study: optuna.Study, space: Space, hw: Hardware, url: str) -> None:
    """Marks the study in its storage: two folders of one name must not share one, and a dashboard's reader sees it."""
    identity = f"{space.workload.model} on {_machine(hw)}, space {digest(_view(space))[:12]}"
    held = study.user_attrs.get("study")
    if held is None and not study.get_trials(deepcopy=False):
        study.set_user_attr("study", identity)
    elif held != identity:
        raise StudyError(
            f"the storage {database.shown(url)} has another study {study.study_name!r} ({held or 'not autotune'}); "
            "choose another --name"
        )


# ------------------------------------------------------------------------------------------------------- creating


def _create(folder: Path, space: Space, text: str, hw: Hardware) -> None:
    """The whole folder at once: made under a temporary name beside it, then renamed.

    Where another process begins the same study at this moment, the one that renames first has made it.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        making = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
        making.mkdir()
        try:
            (making / "space.yaml").write_text(text, encoding="utf-8")
            (making / "hardware.json").write_bytes(store.encode(hw))
            (making / "domains.json").write_bytes(store.encode(space))
            (making / "trials").mkdir()
            try:
                making.rename(folder)
            except OSError:
                if not store.exists(folder):
                    raise
        finally:
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise StudyError(
            f"the study folder {folder} cannot be made: {error.strerror}; mend that, or choose another with --studies"
        ) from error


def _reprice(folder: Path, space: Space) -> None:
    """Another price: limits on the cost are judged anew, and what was confirmed is concluded again.

    Where no limit and no objective is a cost the claim stands meanwhile, without the cost that it had.
    """
    kept = msgspec.structs.replace(store.space(folder), price=space.price)
    write_atomically(folder / "domains.json", store.encode(kept))
    if COST in (*kept.goal.objectives, *(limit.metric for limit in kept.constraints)):
        store.write_confirmation(folder, None)
    else:
        _reopen_without_cost(folder)
    results = store.results(folder)
    ranking = Ranking(results, kept.goal)
    for result in results:
        if (settled := ranking.settled(result)) != result:
            store.write_result(folder, settled)


def _reopen_without_cost(folder: Path) -> None:
    store.reopen_confirmation(folder)
    confirmation = store.confirmation(folder)
    if confirmation is not None and confirmation.winner is not None:
        values = {name: value for name, value in confirmation.winner.metrics.items() if name != COST}
        winner = msgspec.structs.replace(confirmation.winner, metrics=values)
        store.write_confirmation(folder, msgspec.structs.replace(confirmation, winner=winner))


def _today(kept: Space, given: Space) -> Space:
    """The study's space with the budget and the time limits of this run, and what this run says of prices."""
    excluded = [one for one in kept.excluded if one.setting != PRICES]
    said = [one for one in given.excluded if one.setting == PRICES]
    today = msgspec.structs.replace(kept, budget=given.budget, limits=given.limits)
    return msgspec.structs.replace(today, excluded=(*said, *excluded))
