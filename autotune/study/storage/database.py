"""Optuna's storage of a study: opened or made, its errors put into one line, its passwords kept to ourselves.

Every call of the storage translates its own errors, so that an error of ours that passes through Optuna stays a bug.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage, get_storage
from optuna.study import StudyDirection
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from autotune.analysis.metrics import METRICS
from autotune.core.errors import StudyError
from autotune.core.space_types import Goal
from autotune.study.storage import disk_errors

LOCK_TIMEOUT_S = 60

CALLS = [name for name in vars(BaseStorage) if not name.startswith("_")]
"""The calls of a storage."""


def own(folder: Path) -> str:
    """The URL of the database inside a study's folder."""
    return URL.create("sqlite", database=str(folder.absolute() / "study.db")).render_as_string()


@contextlib.contextmanager
def connected(url: str) -> Iterator[BaseStorage]:
    """The storage of a URL, with its tables; StudyError in one line where it cannot be reached, then or later."""
    with _translated(url, ImportError, RuntimeError, ValueError, SQLAlchemyError):
        parsed = sqlalchemy.make_url(url)
        local = parsed.get_backend_name() == "sqlite" and bool(parsed.database)
        # A connection may lie idle for as long as a trial takes; a reader may hold an SQLite file.
        arguments = {"connect_args": {"timeout": LOCK_TIMEOUT_S}} if local else {"pool_pre_ping": True}
        database = RDBStorage(url, engine_kwargs=arguments)
    try:
        if local:
            with _translated(url, SQLAlchemyError):
                _set_up(database)
        yield _translating(get_storage(database), url)
    finally:
        database.engine.dispose()


def study(storage: BaseStorage, name: str, goal: Goal) -> optuna.Study:
    """The study of this name, made if it is not there, with a direction for each objective."""
    # One line of ours says more than Optuna's log of each trial.
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
    better = [up if METRICS[name].better == "higher" else down for name in goal.objectives]
    return optuna.create_study(storage=storage, study_name=name, directions=better, load_if_exists=True)


def shown(url: str) -> str:
    """The name of a storage in messages: the path of a database in a file, else the URL without the password."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (SQLAlchemyError, ValueError):
        return "given by --storage"
    return parsed.database if parsed.get_backend_name() == "sqlite" and parsed.database else public(url)


def public(url: str) -> str:
    """A URL that can be used, without its password, as a command names it."""
    return _hidden(sqlalchemy.make_url(url).render_as_string(hide_password=True), url)


def _set_up(storage: RDBStorage) -> None:
    """Write-ahead logging: readers, such as a dashboard, never hold up the writer, nor a dead writer the file."""

    def fast(connection: sqlite3.Connection, _: object) -> None:
        # In this mode a commit without fsync survives the death of the process; results are files of their own.
        connection.execute("PRAGMA synchronous=NORMAL")

    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    storage.engine.dispose()
    sqlalchemy.event.listen(storage.engine, "connect", fast)


def _translating(storage: BaseStorage, url: str) -> BaseStorage:
    """The storage, each of whose calls raises StudyError where its database fails."""
    for name in CALLS:
        call = getattr(storage, name)
        setattr(storage, name, _translated(url, ImportError, ValueError, SQLAlchemyError, StorageInternalError)(call))
    return storage


@contextlib.contextmanager
def _translated(url: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turns these errors into a StudyError of one line that says what to do, without the password."""
    try:
        yield
    except kinds as error:
        # Not chained: a driver's own message may repeat the URL, and a log would keep it.
        raise StudyError(_advice(_hidden(_cause(error), url), shown(url))) from None


def _cause(error: BaseException) -> str:
    """The innermost cause's first line: SQLAlchemy and Optuna wrap a driver's sentence in paragraphs."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _advice(cause: str, where: str) -> str:
    if "disk is full" in cause:
        return disk_errors.message(where)
    if "locked" in cause:
        return (
            f"the storage {where} has been locked by another program for {LOCK_TIMEOUT_S} s; close that program and "
            "run the same command again"
        )
    if "not a database" in cause or "malformed" in cause:
        return (
            f"the storage {where} is damaged ({cause}); move it away and run the same command again: it is made anew "
            "from the folder's trials"
        )
    return (
        f"the storage {where} cannot be used: {cause}; check the URL, that it runs and that its driver is installed, "
        "or leave out --storage to keep the study in its folder"
    )


def _hidden(text: str, url: str) -> str:
    """The text without any secret of the URL: its password, and the query's."""
    try:
        parsed = sqlalchemy.make_url(url)
    except (SQLAlchemyError, ValueError):
        return text.replace(url, "***")
    secrets = [] if parsed.password is None else [str(parsed.password)]
    for key, value in parsed.query.items():
        if "pass" in key.lower() or "token" in key.lower():
            secrets += [value] if isinstance(value, str) else list(value)
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
