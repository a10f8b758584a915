"""When a key was used last: written behind, once for many uses, and never lost by a database that is away."""

from __future__ import annotations

import multiprocessing
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy import event

from shared.database import Database, utc_now
from shared.directory import Changes
from shared.keys import ApiKeys
from shared.last_uses import LastUses
from shared.scopes import Scope


@pytest.fixture
def keys(database, redis_server) -> ApiKeys:
    return ApiKeys(database, Changes(redis_server.client(1)))


@pytest.fixture
def last_uses(database) -> LastUses:
    return LastUses(database)


def test_a_use_is_written_when_it_is_flushed(keys, last_uses):
    used, unused = (keys.create(Scope.SPEAK, "shop")[0].id for _ in range(2))
    before = utc_now()
    last_uses.note(used)
    assert keys.get(used).last_used_at is None
    last_uses.flush()
    assert before - timedelta(milliseconds=1) <= keys.get(used).last_used_at <= utc_now()
    assert keys.get(unused).last_used_at is None


def test_many_uses_are_one_statement_and_none_is_none(keys, last_uses, database):
    ids = [keys.create(Scope.SPEAK, "shop")[0].id for _ in range(3)]
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for key_id in ids * 100:
        last_uses.note(key_id)
    assert statements == []
    last_uses.flush()
    last_uses.flush()
    assert len(statements) == 1
    assert all(keys.get(key_id).last_used_at for key_id in ids)


def test_a_process_that_writes_late_does_not_turn_time_back(keys, database):
    key_id = keys.create(Scope.SPEAK, "shop")[0].id
    early, late = LastUses(database), LastUses(database)
    early.note(key_id)
    late.note(key_id)
    late.flush()
    latest = keys.get(key_id).last_used_at
    early.flush()
    assert keys.get(key_id).last_used_at == latest


def test_what_the_database_does_not_take_is_kept_for_the_next_time(postgres, redis_server):
    with closing(Database(postgres.new_database())) as database:
        database.migrate()
        keys, last_uses = ApiKeys(database, Changes(redis_server.client(1))), LastUses(database)
        once, again = (keys.create(Scope.SPEAK, "shop")[0].id for _ in range(2))
        for key_id in (once, again):
            last_uses.note(key_id)
        postgres.stop()
        try:
            last_uses.flush()
        finally:
            postgres.start()
        after = utc_now()
        last_uses.note(again)
        last_uses.flush()
        assert keys.get(once).last_used_at < after
        assert keys.get(again).last_used_at >= after - timedelta(milliseconds=1)


def test_a_key_that_is_gone_is_passed_over(last_uses, keys):
    key_id = keys.create(Scope.SPEAK, "shop")[0].id
    last_uses.note("gone")
    last_uses.note(key_id)
    last_uses.flush()
    assert keys.get(key_id).last_used_at


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_that_ends_writes_what_it_has_noted(database_url, keys, method):
    key_id = keys.create(Scope.SPEAK, "shop")[0].id
    process = multiprocessing.get_context(method).Process(target=_use_and_end, args=(database_url, key_id))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert keys.get(key_id).last_used_at


def _use_and_end(database_url, key_id):
    last_uses = LastUses(Database(database_url))
    last_uses.start()
    last_uses.note(key_id)
