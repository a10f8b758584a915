"""The database: sessions, limits, and whose errors come out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from shared.database import Database
from shared.errors import Conflict, SettingsError, StateUnavailable
from shared.keys import KeyRow


def _key(key_id: str = "1", **fields: object) -> KeyRow:
    return KeyRow(**{"id": key_id, "name": "n", "scope": "speak", "lookup": key_id, "digest": "d"} | fields)


def test_a_session_commits_when_its_block_ends(database):
    with database.session() as session:
        session.add(_key())
    with database.session() as session:
        assert session.get(KeyRow, "1").name == "n"


def test_a_session_rolls_back_when_its_block_raises(database):
    def write_and_fail():
        with database.session() as session:
            session.add(_key())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.session() as session:
        assert session.get(KeyRow, "1") is None


def test_a_constraint_that_refuses_is_a_conflict(database):
    with pytest.raises(Conflict), database.session() as session:
        session.add_all([_key("1", lookup="same"), _key("2", lookup="same")])


def test_times_come_back_as_they_went_in_as_utc(database):
    noon_in_tokyo = datetime(2026, 11, 2, 12, tzinfo=timezone(timedelta(hours=9)))
    with database.session() as session:
        session.add(_key(created_at=noon_in_tokyo))
    with database.session() as session:
        row = session.get(KeyRow, "1")
    assert row.created_at == noon_in_tokyo
    assert row.created_at.tzinfo is UTC
    assert row.revoked_at is None


def test_threads_that_read_and_then_write_wait_for_one_another(database):
    with database.session() as session:
        session.add(_key(name=""))

    def append(_number):
        with database.session() as session:
            row = session.get(KeyRow, "1")
            row.name = KeyRow.name + "x"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, range(40)))
    with database.session() as session:
        assert session.get(KeyRow, "1").name == "x" * 40


def test_no_statement_may_take_longer_than_five_seconds(database):
    asked = {"sqlite": "PRAGMA busy_timeout", "postgresql": "SHOW statement_timeout"}
    with database.session() as session:
        limit = session.scalar(text(asked[database.engine.dialect.name]))
    assert limit in {5000, "5s"}


def test_sqlite_reads_while_somebody_writes_and_keeps_foreign_keys(tmp_path):
    with closing(Database(f"sqlite:///{tmp_path / 'file'}")) as database, database.session() as session:
        assert session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_making_a_database_opens_nothing(tmp_path):
    Database(f"sqlite:///{tmp_path / 'file'}")
    Database("postgresql://nobody@127.0.0.1:1/none")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:////no/such/folder/file", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_opened_is_unavailable(url):
    with pytest.raises(StateUnavailable) as caught:
        Database(url).ping()
    assert "127.0.0.1" not in caught.value.detail
    assert "folder" not in caught.value.detail


def test_a_restarted_postgresql_is_found_again(postgres):
    with closing(Database(postgres.new_database())) as database:
        database.ping()
        postgres.stop()
        try:
            with pytest.raises(StateUnavailable):
                database.ping()
        finally:
            postgres.start()
        database.ping()


@pytest.mark.parametrize("url", ["", "voicefarm.sqlite3", "mysql://somebody@127.0.0.1/farm"])
def test_an_address_of_no_known_kind_says_what_is_wanted(url):
    with pytest.raises(SettingsError, match="DATABASE_URL must begin with"):
        Database(url)
