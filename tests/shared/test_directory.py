"""One process's view of personalities and keys: from memory, and never behind a change that has returned."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import event

from shared.connections import FRONT_TIMEOUT_S, front_client
from shared.database import Database, utc_now
from shared.directory import EPOCH_KEY, MAX_HELD, SILENCE_S, STALE_S, Changes, Directory, _Held
from shared.directory import _run_id as run_id
from shared.errors import NotFound, StateUnavailable, Unauthorized
from shared.keys import ApiKeys
from shared.personalities import Personalities, PersonalityRow
from shared.scopes import Scope
from shared.voice_config import VoiceConfig, VoiceSettings
from tests.edits import setting
from tests.farm import until
from tests.servers import redis_binaries, running_redis

ZAC = "00000000-0000-0000-0001-000000000003"


@pytest.fixture
def changes(redis_server) -> Changes:
    return Changes(redis_server.client(1))


@pytest.fixture
def personalities(database, changes) -> Personalities:
    personalities = Personalities(database, changes)
    personalities.seed_examples()
    return personalities


@pytest.fixture
def keys(database, changes) -> ApiKeys:
    return ApiKeys(database, changes)


@contextmanager
def another_process(database_url, redis):
    """A directory with connections of its own."""
    with closing(Database(database_url)) as database:
        yield Directory(database, redis)


@pytest.fixture
def directory(personalities, database_url, redis_server):
    assert personalities
    with another_process(database_url, redis_server.client(1)) as directory:
        yield directory


@contextmanager
def counting_statements(directory):
    statements = []
    engine = directory._personalities._database.engine

    def note(_connection, _cursor, statement, *_rest):
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def revision(directory, personality_id=ZAC):
    return directory.personality(directory.read_epoch(), personality_id).voice_revision


def write_revision(database):
    """Commit a change of zac without telling anybody; gives the new revision."""
    with database.session() as session:
        row = session.get(PersonalityRow, ZAC)
        row.voice_revision = PersonalityRow.voice_revision + 1
        session.flush()
        session.refresh(row)
        return row.voice_revision


# --- what is served, and from where


def test_it_knows_what_sql_knows(directory, personalities, keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    epoch = directory.read_epoch()
    assert directory.personality(epoch, ZAC) == personalities.get(ZAC)
    assert directory.personality(epoch, None) == personalities.default()
    assert directory.authenticate(epoch, secret) == keys.authenticate(secret)
    assert directory.authenticate(epoch, secret).id == key.id


def test_what_was_asked_once_is_served_without_sql(directory, keys):
    _, secret = keys.create(Scope.SPEAK, "shop")

    def ask():
        epoch = directory.read_epoch()
        spoken_by = [directory.personality(epoch, which) for which in (ZAC, None)]
        return spoken_by, directory.authenticate(epoch, secret)

    first = ask()
    with counting_statements(directory) as statements:
        assert ask() == first
    assert statements == []


def test_a_use_that_memory_serves_is_noted_without_sql(directory, keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    directory.authenticate(directory.read_epoch(), secret)
    directory.last_uses.flush()
    first = keys.get(key.id).last_used_at
    with counting_statements(directory) as statements:
        directory.authenticate(directory.read_epoch(), secret)
    assert statements == []
    directory.last_uses.flush()
    assert keys.get(key.id).last_used_at > first


def test_what_is_not_there_is_not_held(directory):
    epoch = directory.read_epoch()
    for nobody in ("x", "", "None"):
        with pytest.raises(NotFound):
            directory.personality(epoch, nobody)
        with pytest.raises(Unauthorized):
            directory.authenticate(epoch, "x" * 40)
    assert not directory._held_personalities._entries
    assert not directory._held_keys._entries


def test_what_cannot_be_a_key_asks_no_sql(directory):
    with counting_statements(directory) as statements, pytest.raises(Unauthorized):
        directory.authenticate(directory.read_epoch(), "short")
    assert statements == []


def test_memory_is_bounded_and_keeps_what_was_used_last():
    held = _Held[int]()
    held.enter(b"epoch")
    for number in range(MAX_HELD + 10):
        held.get(b"epoch", str(number), lambda number=number: number)
        held.get(b"epoch", "0", lambda: -1)
    assert len(held._entries) == MAX_HELD
    assert held.get(b"epoch", "0", lambda: -1) == 0


# --- changes


def test_a_deactivated_personality_is_known_elsewhere_at_once(directory, personalities):
    for active in (True, False, True, False):
        personalities.change(ZAC, setting(is_active=active))
        assert directory.personality(directory.read_epoch(), ZAC).is_active is active


def test_a_revoked_key_is_refused_elsewhere_at_once(directory, keys):
    key, secret = keys.create(Scope.SPEAK, "shop")
    assert directory.authenticate(directory.read_epoch(), secret).id == key.id
    keys.revoke(key.id)
    with pytest.raises(Unauthorized):
        directory.authenticate(directory.read_epoch(), secret)


def test_a_key_that_is_held_expires_without_sql(directory, keys):
    _, secret = keys.create(Scope.SPEAK, "shop", utc_now() + timedelta(seconds=1))
    assert directory.authenticate(directory.read_epoch(), secret).name == "shop"
    with counting_statements(directory) as statements, pytest.raises(Unauthorized, match="expired"):
        until(lambda: not directory.authenticate(directory.read_epoch(), secret), "the key expires")
    assert statements == []


def test_a_refused_change_lets_memory_serve_again(directory, personalities):
    with pytest.raises(NotFound):
        personalities.change("x", setting(is_active=True))
    assert revision(directory) == 1
    with counting_statements(directory) as statements:
        assert revision(directory) == 1
    assert statements == []


def test_while_a_change_is_under_way_sql_is_asked(directory, database, changes):
    with changes.around():
        assert revision(directory) == 1
        new = write_revision(database)
        assert revision(directory) == new
    assert revision(directory) == new


def test_threads_of_several_processes_never_see_what_a_returned_change_replaced(
    database_url, redis_server, personalities, keys
):
    seen, revoked = [1], ["x" * 40]
    done = Event()

    def read(directory):
        while not done.is_set():
            at_least, refused = seen[-1], revoked[-1]
            epoch = directory.read_epoch()
            assert directory.personality(epoch, ZAC).voice_revision >= at_least
            with pytest.raises(Unauthorized):
                directory.authenticate(epoch, refused)

    def write(sign):
        for number in range(1, 16):
            changed = VoiceConfig(voice_settings=VoiceSettings(pitch=sign * number))
            personalities.change(ZAC, setting(voice_config=changed))
            seen.append(personalities.get(ZAC).voice_revision)
            key, secret = keys.create(Scope.SPEAK, "shop")
            keys.revoke(key.id)
            revoked.append(secret)

    with (
        another_process(database_url, redis_server.client(1)) as one,
        another_process(database_url, redis_server.client(1)) as two,
        ThreadPoolExecutor(6) as pool,
    ):
        readers = [pool.submit(read, directory) for directory in (one, one, two, two)]
        writers = [pool.submit(write, sign) for sign in (1.0, -1.0)]
        for writer in writers:
            writer.result()
        done.set()
        for reader in readers:
            reader.result()
    assert max(seen) == 31


# --- failures


@pytest.fixture
def times():
    """The time on the clock of `cut_off`."""
    return [1000.0]


@pytest.fixture
def cut_off(database_url, redis_server, personalities, times):
    """A directory that has read the epoch, and whose Redis hangs since."""
    with closing(Database(database_url)) as database:
        directory = Directory(database, front_client(redis_server.url(1)), clock=lambda: times[0])
        assert revision(directory) == personalities.get(ZAC).voice_revision
        redis_server.pause()
        yield directory
        redis_server.resume()


def test_without_redis_nothing_is_served_and_nothing_held_beyond_it(cut_off, redis_server, times):
    with pytest.raises(StateUnavailable):
        cut_off.read_epoch()
    redis_server.resume()
    with pytest.raises(StateUnavailable):
        cut_off.read_epoch()
    times[0] += SILENCE_S
    with counting_statements(cut_off) as statements:
        revision(cut_off)
    assert statements


def test_without_redis_one_request_waits_and_the_next_are_told_at_once(cut_off):
    with pytest.raises(StateUnavailable):
        cut_off.read_epoch()
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(StateUnavailable):
            cut_off.read_epoch()
    assert time.monotonic() - begun < FRONT_TIMEOUT_S


def test_what_is_in_memory_may_be_served_for_a_minute_without_redis(cut_off, personalities, times):
    with pytest.raises(StateUnavailable):
        cut_off.read_epoch()
    times[0] += STALE_S
    assert cut_off.personality(cut_off.recent_epoch(), ZAC) == personalities.get(ZAC)
    times[0] += 0.001
    with pytest.raises(StateUnavailable):
        cut_off.recent_epoch()


def test_a_redis_that_was_started_again_begins_a_new_epoch(tmp_path, database):
    with running_redis(redis_binaries()["7"], tmp_path / "redis") as server:
        directory = Directory(database, front_client(server.url(1)))
        before = directory.read_epoch()
        server.client(1).config_set("appendfsync", "always")
        server.client(1).set("something", 1)
        server.kill()
        server.start()
        assert server.client(1).get(EPOCH_KEY) == before.partition(b" ")[0], "the token is the same"
        assert directory.read_epoch() not in {before, b""}, "it may have lost a change before it died"


def test_a_thread_that_connects_only_then_begins_it_too(tmp_path, database):
    """Those that were connected find it out; one that was not finds the same token."""
    with running_redis(redis_binaries()["7"], tmp_path / "redis") as server, ThreadPoolExecutor(1) as other:
        directory = Directory(database, front_client(server.url(1)))
        before = directory.read_epoch()
        assert other.submit(directory.read_epoch).result() == before, "another connection is no other server"
        server.client(1).config_set("appendfsync", "always")
        server.client(1).set("something", 1)
        server.kill()
        server.start()
        with ThreadPoolExecutor(1) as late:
            after = late.submit(directory.read_epoch).result()
        assert after.partition(b" ")[0] == before.partition(b" ")[0], "the token is the same"
        assert after not in {before, b""}
        assert directory.read_epoch() == other.submit(directory.read_epoch).result() == after


def test_a_connection_that_was_cut_begins_none(directory, redis_server):
    before = directory.read_epoch()
    redis_server.client(1).client_kill_filter(_type="normal", skipme=True)
    assert directory.read_epoch() == before


def test_a_server_that_does_not_tell_of_itself_begins_one_with_each_connection(database, redis_server):
    redis_server.client(1).acl_setuser(
        "shy", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-info"], reset=True
    )
    url = redis_server.url(1).replace("redis://", "redis://shy:any@")
    directory = Directory(database, front_client(url))
    before = directory.read_epoch()
    assert directory.read_epoch() == before != b""
    redis_server.client(1).client_kill_filter(user="shy")
    assert directory.read_epoch() not in {before, b""}


def test_one_that_tells_strange_things_of_itself_does_so_too(database, redis_server, monkeypatch):
    monkeypatch.setattr("shared.directory._run_id", lambda info: run_id(info.replace(b"run_id", b"runid")))
    directory = Directory(database, front_client(redis_server.url(1)))
    before = directory.read_epoch()
    assert directory.read_epoch() == before != b""
    redis_server.client(1).client_kill_filter(_type="normal", skipme=True)
    assert directory.read_epoch() not in {before, b""}
    for strange in (b"OK", None, 1, b""):
        assert run_id(strange) is None


def test_what_an_interrupted_request_left_unread_is_not_taken_for_the_epoch(directory, redis_server):
    directory.read_epoch()
    directory._line.send(directory._packed, 1)
    redis_server.client(1).set(EPOCH_KEY, "new")
    assert directory.read_epoch().startswith(b"new ")


def test_a_refused_command_begins_no_epoch(directory, redis_server):
    before = directory.read_epoch()
    redis_server.client(1).set("text", "a")
    with pytest.raises(StateUnavailable):
        directory.read_epoch_with(("INCR", "text"))
    assert directory.read_epoch() == before


def test_other_commands_go_along(directory, redis_server):
    redis_server.client(1).set("one", "1")
    epoch, answers = directory.read_epoch_with(("GET", "one"), ("GET", "none"))
    assert (epoch, answers) == (directory.read_epoch(), [b"1", None])


def test_without_redis_nothing_is_changed(database, personalities):
    cut_off = Personalities(database, Changes(front_client("redis://127.0.0.1:1/1")))
    with pytest.raises(StateUnavailable):
        cut_off.change(ZAC, setting(is_active=False))
    assert personalities.get(ZAC).is_active


def test_a_redis_that_forgot_everything_begins_a_new_epoch(directory, redis_server):
    before = directory.read_epoch()
    redis_server.client(1).flushall()
    assert directory.read_epoch() not in {before, b""}
    assert directory.read_epoch() == directory.read_epoch()


def test_a_change_that_fails_half_way_is_seen_at_once_and_memory_serves_again(
    directory, database, redis_server
):
    hasty = Changes(redis_server.client(1), expiry_ms=300)
    assert revision(directory) == 1
    change = hasty.around()
    change.__enter__()
    write_revision(database)
    assert not change.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert revision(directory) == 2
    _assert_heals(directory, 2)


def test_a_process_killed_half_way_is_seen_at_once_and_memory_serves_again(
    directory, database_url, redis_server
):
    def die_half_way():
        with Changes(redis_server.client(1), expiry_ms=300).around():
            write_revision(Database(database_url))
            os.kill(os.getpid(), signal.SIGKILL)

    assert revision(directory) == 1
    process = multiprocessing.get_context("fork").Process(target=die_half_way)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert revision(directory) == 2
    _assert_heals(directory, 2)


def _assert_heals(directory, expected):
    deadline = time.monotonic() + 5
    while not directory.read_epoch():
        assert time.monotonic() < deadline
    assert revision(directory) == expected
    with counting_statements(directory) as statements:
        assert revision(directory) == expected
    assert statements == []
