"""Whoever holds cached audio in memory learns of everything that happens to it in Redis."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest

from shared.cache import AudioCache, Invalidations
from shared.cache.invalidations import _REMEMBERED
from tests.farm import until
from tests.servers import redis_binaries, running_redis
from tests.shared.cache.test_store import KEYS, MARCEL, audio, utterance


@pytest.fixture
def server(every_redis):
    every_redis.client(2).flushdb()
    return every_redis


@contextmanager
def following(server):
    invalidations = Invalidations(server.url(2))
    invalidations.start()
    until(lambda: not invalidations.may_have_changed(KEYS[0], time.monotonic()), "it follows")
    yield invalidations
    invalidations.close()


@pytest.fixture
def invalidations(server):
    with following(server) as invalidations:
        yield invalidations


@pytest.fixture
def cache(server):
    return AudioCache(server.client(2), ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000)


def _drop(server):
    AudioCache(server.client(2), ttl_s=1, degraded_ttl_s=1, max_size_bytes=1).drop(MARCEL)


def _delete_one_half(server):
    server.client(2).delete(f"voice:metadata:{KEYS[0]}")


def _expire(server):
    server.client(2).pexpire(f"voice:audio:{KEYS[0]}", 1)
    until(lambda: not server.client(2).exists(f"voice:audio:{KEYS[0]}"), "it has expired")


def _flush(server):
    server.client(2).flushdb()


@pytest.mark.parametrize("change", [_drop, _delete_one_half, _expire, _flush])
def test_a_change_of_an_entry_is_heard(cache, invalidations, server, change):
    cache.store(KEYS[0], utterance(), audio())
    until(lambda: invalidations.may_have_changed(KEYS[0], 0), "the store itself is heard")
    held_since = time.monotonic()
    until(lambda: not invalidations.may_have_changed(KEYS[0], held_since), "all is quiet")
    change(server)
    until(lambda: invalidations.may_have_changed(KEYS[0], held_since), "it is heard")


def test_other_entries_stay_as_they_are(cache, invalidations):
    held_since = time.monotonic()
    cache.store(KEYS[0], utterance(), audio())
    until(lambda: invalidations.may_have_changed(KEYS[0], held_since), "it is heard")
    assert not invalidations.may_have_changed(KEYS[1], held_since)


def test_more_changes_than_are_remembered_count_against_everything_older(invalidations, server):
    held_since = time.monotonic()
    with server.client(2).pipeline() as pipe:
        for number in range(_REMEMBERED + 10):
            pipe.set(f"voice:audio:{number}", b"")
        pipe.execute()
    until(lambda: invalidations.may_have_changed("never written", held_since), "the oldest are forgotten")
    assert invalidations.may_have_changed(str(_REMEMBERED + 9), held_since)
    assert not invalidations.may_have_changed("never written", time.monotonic())


def test_before_it_follows_anything_may_have_changed():
    assert Invalidations("redis://127.0.0.1:1/2").may_have_changed(KEYS[0], time.monotonic())


def test_after_a_lost_connection_anything_may_have_changed(tmp_path):
    with (
        running_redis(redis_binaries()["7"], tmp_path / "redis") as server,
        following(server) as invalidations,
    ):
        held_since = time.monotonic()
        server.kill()
        assert not invalidations.may_have_changed(KEYS[0], held_since), "served on for a while"
        server.start()
        until(lambda: invalidations.may_have_changed(KEYS[0], held_since), "it follows again")
        until(lambda: not invalidations.may_have_changed(KEYS[0], time.monotonic()), "and all is well")
