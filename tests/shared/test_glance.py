"""The epoch and the roll call together, on every supported Redis."""

from __future__ import annotations

from contextlib import closing

import pytest

from shared.connections import front_client
from shared.database import Database
from shared.directory import EPOCH_KEY, Directory
from shared.errors import StateUnavailable
from shared.glance import Glance
from shared.presence import Presence, Worker
from tests.servers import running_redis

ONE = Worker(name="one", provider="espeak", slots=2, device="cpu", pid=1)


@pytest.fixture
def directory(tmp_path, every_redis):
    every_redis.client(1).flushdb()
    with closing(Database(f"sqlite:///{tmp_path}/never_opened.sqlite3")) as database:
        yield Directory(database, front_client(every_redis.url(1)))


@pytest.fixture
def glance(directory, every_redis) -> Glance:
    return Glance(front_client(every_redis.url(1)), directory)


def test_it_gives_what_both_give_alone(glance, directory, every_redis):
    presence = Presence(every_redis.client(1))
    presence.beat(ONE)
    epoch, roll_call = glance.take()
    assert epoch == directory.read_epoch() != b""
    assert roll_call.workers == (ONE,)
    assert 0 <= presence.roll_call().now_ms - roll_call.now_ms < 10_000


def test_a_server_that_has_forgotten_the_script_is_told_it(glance, every_redis):
    before, _ = glance.take()
    every_redis.client(1).script_flush()
    assert glance.take()[0] == glance.take()[0] == before


def test_a_change_under_way_is_seen(glance, every_redis):
    every_redis.client(1).set(EPOCH_KEY, b"")
    assert glance.take()[0] == b""


def test_a_server_that_was_started_again_begins_a_new_epoch(tmp_path, every_redis):
    with (
        running_redis(every_redis.binary, tmp_path / "redis") as server,
        closing(Database(f"sqlite:///{tmp_path}/never_opened.sqlite3")) as database,
    ):
        client = front_client(server.url(1))
        glance = Glance(client, Directory(database, client))
        before, _ = glance.take()
        server.client(1).config_set("appendfsync", "always")
        server.client(1).set("something", 1)
        server.kill()
        with pytest.raises(StateUnavailable):
            glance.take()
        server.start()
        after, roll_call = glance.take()
        assert after not in {before, b""}
        assert roll_call.workers == ()


def test_one_that_was_begun_and_not_taken_is_not_taken_for_the_next(glance, every_redis):
    glance.begin()
    glance.begin()
    every_redis.client(1).set(EPOCH_KEY, b"later")
    glance.begin()
    assert glance.take()[0].startswith(b"later ")
    every_redis.client(1).set(EPOCH_KEY, b"")
    assert glance.take()[0] == b"", "it is asked for each time"


@pytest.mark.parametrize("begins", ["before the end", "after it", "not at all"])
def test_one_that_a_restart_interrupts_begins_a_new_epoch(tmp_path, every_redis, begins):
    with (
        running_redis(every_redis.binary, tmp_path / "redis") as server,
        closing(Database(f"sqlite:///{tmp_path}/never_opened.sqlite3")) as database,
    ):
        client = front_client(server.url(1))
        glance = Glance(client, Directory(database, client))
        before, _ = glance.take()
        server.client(1).config_set("appendfsync", "always")
        server.client(1).set("something", 1)
        if begins == "before the end":
            server.pause()
            glance.begin()
        server.kill()
        server.start()
        if begins == "after it":
            glance.begin()
        assert server.client(1).get(EPOCH_KEY) == before.partition(b" ")[0], "the token is the same"
        assert glance.take()[0] not in {before, b""}
