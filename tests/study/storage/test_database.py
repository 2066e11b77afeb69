from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from autotune.core.errors import StudyError
from autotune.core.space_types import Goal
from autotune.study.storage import database

SECRET = "hunter2"


def engine(storage: optuna.storages.BaseStorage) -> sqlalchemy.engine.Engine:
    """The engine below the storage's cache."""
    found: sqlalchemy.engine.Engine = storage._backend.engine  # type: ignore[attr-defined]
    return found


def test_the_own_database_writes_ahead_and_keeps_its_study(tmp_path: Path) -> None:
    url = database.own(tmp_path)
    for known in (0, 1):
        with database.connected(url) as found:
            study = database.study(found, "toy", Goal())
            assert len(study.trials) == known
            study.tell(study.ask(), 1.0)
            assert study.direction is optuna.study.StudyDirection.MAXIMIZE
            with engine(found).connect() as connection:
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
                assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == database.LOCK_TIMEOUT_S * 1000
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (f"postgresql://user:{SECRET}@127.0.0.1:1/x", "psycopg|refused"),
        (f"mysql://user:{SECRET}@127.0.0.1:1/x", "MySQLdb|refused"),
        (f"nosuch://user:{SECRET}@host/x", "nosuch"),
        (f"postgresql://user@127.0.0.1:1/x?password={SECRET}", "psycopg|refused"),
        (f"postgresql://user:{SECRET}@127.0.0.1:port/x", ""),
        (f"user:{SECRET}@host", ""),
        ("sqlite:////nowhere/at/all.db", "unable to open"),
    ],
)
def test_a_storage_out_of_reach_is_one_line_without_the_password(url: str, cause: str) -> None:
    with (
        pytest.raises(StudyError, match=rf"^the storage .* cannot be used: .*({cause}).*--storage") as caught,
        database.connected(url),
    ):
        pass
    chain: BaseException | None = caught.value
    assert SECRET not in str(chain)
    assert "\n" not in str(chain)
    assert caught.value.__suppress_context__


def test_a_url_that_is_shown_has_no_password_and_can_be_used() -> None:
    assert database.public(f"postgresql://me:{SECRET}@host/db") == "postgresql://me:***@host/db"
    assert database.public("sqlite:////a/study.db") == "sqlite:////a/study.db"
    assert database.shown("sqlite:////a/study.db") == "/a/study.db"


def test_a_driver_that_repeats_the_password_is_silenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = OperationalError("SELECT 1", None, Exception(f"connection refused for {SECRET}\nIs it running?"))

    def refuse(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr(database, "RDBStorage", refuse)
    with (
        pytest.raises(StudyError, match=r"x cannot be used: .*refused for \*\*\*") as caught,
        database.connected(f"postgresql://user:{SECRET}@host/x"),
    ):
        pass
    assert SECRET not in str(caught.value)


class Broken(optuna.samplers.RandomSampler):
    """A sampler with a bug, which Optuna calls between two calls of its storage."""

    def infer_relative_search_space(self, *_: object) -> dict[str, optuna.distributions.BaseDistribution]:
        sqlalchemy.make_url("")
        return {}


def test_an_error_of_ours_inside_optuna_stays_what_it_is(tmp_path: Path) -> None:
    """Although it comes from SQLAlchemy's files, too."""
    with database.connected(database.own(tmp_path)) as found:
        study = database.study(found, "toy", Goal())
        study.sampler = Broken()
        with pytest.raises(sqlalchemy.exc.ArgumentError):
            study.ask().suggest_categorical("x", (1, 2))


def test_a_value_that_the_database_refuses_is_the_storages(tmp_path: Path) -> None:
    with database.connected(database.own(tmp_path)) as found:
        study = database.study(found, "toy", Goal())
        trial = study.ask()
        trial.suggest_categorical("x", (1, 2))
        with pytest.raises(StudyError, match=r"the storage .*study\.db cannot be used: CategoricalDistribution"):
            study.ask().suggest_categorical("x", (1, 2, 3))


def test_a_damaged_database_can_be_made_anew(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_bytes(b"no database " * 500)
    with (
        pytest.raises(StudyError, match=r"study\.db is damaged .*move it away and run the same command again"),
        database.connected(database.own(tmp_path)),
    ):
        pass


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with database.connected(database.own(tmp_path)) as found:
        study = database.study(found, "toy", Goal())

        def small(connection: sqlite3.Connection, _: object) -> None:
            connection.execute("PRAGMA max_page_count=1")  # SQLite's own way to be full: no page more than it has

        engine(found).dispose()
        sqlalchemy.event.listen(engine(found), "connect", small)
        with pytest.raises(StudyError, match=r"no space left for .*study\.db; free some"):
            for number in range(1000):
                study.set_user_attr(f"key{number}", "x" * 2000)


def test_a_reader_never_holds_up_the_writer(tmp_path: Path) -> None:
    with database.connected(database.own(tmp_path)) as found:
        study = database.study(found, "toy", Goal())
        reader = sqlite3.connect(tmp_path / "study.db")
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (0,)
        study.tell(study.ask(), 1.0)
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (0,)
        reader.close()
        assert len(study.trials) == 1


def test_another_writer_is_waited_for_then_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOCK_TIMEOUT_S", 0.2)
    with database.connected(database.own(tmp_path)) as found:
        study = database.study(found, "toy", Goal())
        writer = sqlite3.connect(tmp_path / "study.db")
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StudyError, match=r"has been locked by another program for .*close that"):
            study.ask().suggest_categorical("x", (1, 2))
        writer.close()
        study.ask()
