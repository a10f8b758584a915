"""The epoch and the roll call together, on every supported Redis."""

from __future__ import annotations

from contextlib import closing

import pytest

from shared.connections import Trip, front_client
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


def test_a_refused_command_leaves_the_answers_in_their_places(every_redis):
    client = every_redis.client(1)
    client.set("text", "a")
    trip = Trip(client, ("INCR", "text"), ("GET", "text"))
    for _ in range(2):
        with pytest.raises(Exception, match="not an integer"):
            trip.take()
    client.set("text", "1")
    assert trip.take() == [2, b"2"]
