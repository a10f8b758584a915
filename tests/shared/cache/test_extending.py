"""What is asked for in the second half of its time gets all of it anew, whole, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.cache import AudioCache
from tests.shared.cache.test_store import KEYS, MARCEL, audio, utterance

DAY_S = 86_400


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(2)
    client.flushdb()
    return client


@pytest.fixture
def at_age(redis):
    """Give the cache as one has it whose entries have lived so many days of their seven."""

    def at_age(days):
        left_s = (7 - days) * DAY_S
        AudioCache(redis, ttl_s=left_s, degraded_ttl_s=100, max_size_bytes=100).store(
            KEYS[0], utterance(), audio()
        )
        return AudioCache(redis, ttl_s=7 * DAY_S, degraded_ttl_s=7 * DAY_S, max_size_bytes=100)

    return at_age


def ends_ms(redis, key=KEYS[0]):
    halves = [redis.execute_command("PTTL", f"voice:{half}:{key}") for half in ("audio", "metadata")]
    assert abs(halves[0] - halves[1]) <= 100
    return halves[0]


def extend(cache, most=1000):
    cache.requests.flush()
    return cache.extend(most)


def test_what_is_asked_for_late_lives_on(at_age, redis):
    cache = at_age(days=4)
    before = cache.look(KEYS[0])
    assert extend(cache) == 1
    after = cache.look(KEYS[0])
    assert ends_ms(redis) == pytest.approx(7 * DAY_S * 1000, abs=10_000)
    assert after.metadata.expires_ms == pytest.approx(
        before.metadata.expires_ms + 4 * DAY_S * 1000, abs=10_000
    )
    assert replace(after.metadata, expires_ms=0) == replace(before.metadata, expires_ms=0)
    assert (after.data, cache.stats().sets, cache.stats().entries) == (before.data, 1, 1)
    [(_, end)] = redis.zrange(f"voice:entries:{MARCEL}", 0, -1, withscores=True)
    assert end == after.metadata.expires_ms


def test_once_extended_it_is_not_again(at_age):
    cache = at_age(days=4)
    cache.look(KEYS[0])
    assert extend(cache) == 1
    cache.look(KEYS[0])
    assert extend(cache) == 0


@pytest.mark.parametrize("days", [0, 3])
def test_what_is_asked_for_early_keeps_its_end(at_age, redis, days):
    cache = at_age(days)
    cache.look(KEYS[0])
    assert extend(cache) == 0
    assert ends_ms(redis) <= (7 - days) * DAY_S * 1000


def test_what_nobody_asks_for_keeps_its_end(at_age):
    cache = at_age(days=6)
    cache.holding([KEYS[0]])
    assert extend(cache) == 0


def test_a_front_that_does_not_know_its_new_end_yet_changes_nothing(at_age):
    cache = at_age(days=4)
    held = cache.look(KEYS[0])
    assert extend(cache) == 1
    cache.note_asked(held)
    assert extend(cache) == 0


def test_degraded_audio_is_never_extended(at_age, redis):
    cache = at_age(days=4)
    redis.flushdb()
    short = AudioCache(redis, ttl_s=1000, degraded_ttl_s=100, max_size_bytes=100)
    short.store(KEYS[0], utterance(), audio(degraded=True))
    cache.look(KEYS[0])
    assert extend(cache) == 0
    redis.sadd("voice:expiring", KEYS[0])
    assert cache.extend(1000) == 0
    assert ends_ms(redis) <= 100_000


@pytest.mark.parametrize("half", ["audio", "metadata"])
def test_half_an_entry_is_left_alone(at_age, redis, half):
    cache = at_age(days=4)
    cache.look(KEYS[0])
    redis.delete(f"voice:{half}:{KEYS[0]}")
    assert extend(cache) == 0
    assert cache.look(KEYS[0]) is None


def test_what_was_dropped_meanwhile_does_not_come_back(at_age, redis):
    cache = at_age(days=4)
    cache.look(KEYS[0])
    cache.requests.flush()
    cache.drop(MARCEL, oldest_revision=2)
    assert cache.extend(1000) == 0
    assert {key.decode() for key in redis.keys("*")} == {"voice:revisions", "voice:stats"}


def test_only_so_many_are_extended_at_once(at_age, redis):
    cache = at_age(days=4)
    redis.sadd("voice:expiring", *(f"{number:064}" for number in range(450)))
    extend(cache, 200)
    assert redis.scard("voice:expiring") == 250


def test_what_is_noted_does_not_pile_up(at_age, redis):
    cache = at_age(days=4)
    for number in range(20_000):
        cache.requests.note_expiring(f"{number:064}")
    cache.requests.flush()
    assert redis.scard("voice:expiring") == 10_000
    assert 0 < redis.ttl("voice:expiring") <= DAY_S
