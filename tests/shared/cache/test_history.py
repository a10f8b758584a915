"""The cache's history: what it did in each minute, once a farm, without more than its time of it."""

from __future__ import annotations

import pytest

from shared.cache import AudioCache, CacheHistory
from shared.connections import front_client
from shared.errors import StateUnavailable
from tests.servers import free_port

MINUTE, HOUR, DAY = 60, 3600, 86_400
MIDNIGHT = 20_000 * DAY


class Clock:
    """The time that a history goes by."""

    def __init__(self) -> None:
        self.now_s = float(MIDNIGHT)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def redis(every_redis):
    every_redis.client(0).flushall()
    return every_redis


@pytest.fixture
def state(redis):
    return redis.client(1)


@pytest.fixture
def cache(redis):
    return AudioCache(redis.client(2), ttl_s=1000, degraded_ttl_s=100, max_size_bytes=10_000)


@pytest.fixture
def history(state, cache, clock):
    return CacheHistory(state, cache, clock=clock)


@pytest.fixture
def at(history, cache, clock):
    """Let the clock be this much after midnight, a front look, and then so many requests come."""

    def at(after_s, hits=0, misses=0, coalesced=0):
        clock.now_s = MIDNIGHT + after_s
        history.once()
        for what, number in (("hits", hits), ("misses", misses), ("coalesced", coalesced)):
            for _ in range(number):
                cache.requests.count(what)

    return at


def counted(records):
    return [(r.at_s - MIDNIGHT, r.hits, r.misses, r.coalesced) for r in records]


def test_a_minute_is_told_of_once_it_is_over(history, at):
    at(0, hits=3, misses=1)
    assert history.last(1) == (MINUTE, [])
    at(MINUTE, misses=1, coalesced=1)
    at(2 * MINUTE)
    step_s, records = history.last(1)
    assert step_s == MINUTE
    assert counted(records) == [(0, 3, 1, 0), (MINUTE, 0, 1, 1)]
    assert [record.hit_rate for record in records] == [75.0, 0.0]


def test_what_was_counted_before_anybody_looked_is_no_minutes(history, cache, at):
    cache.requests.count("hits")
    for minute in range(3):
        at(minute * MINUTE)
    assert counted(history.last(1)[1]) == [(0, 0, 0, 0), (MINUTE, 0, 0, 0)]
    assert history.last(1)[1][0].hit_rate is None


def test_of_several_fronts_one_looks_in_a_minute(history, state, cache, clock, at):
    another = CacheHistory(state, cache, clock=clock)
    at(0, hits=2)
    at(MINUTE)
    another.once()
    clock.now_s += 59.9
    another.once()
    assert counted(history.last(1)[1]) == [(0, 2, 0, 0)]


def test_entries_and_bytes_are_those_when_the_last_minute_began(history, redis, at):
    audio = redis.client(2)
    for minute in range(3):
        audio.hset("voice:bytes", "somebody", 100 * minute)
        audio.zadd("voice:entries:somebody", {f"entry {minute}": 1e15})
        at(minute * MINUTE)
    assert [(r.entries, r.size_bytes) for r in history.last(1)[1]] == [(1, 0), (2, 100)]
    at(10 * MINUTE)
    [of_five_minutes] = history.last(24)[1]
    assert (of_five_minutes.entries, of_five_minutes.size_bytes) == (3, 200)


def test_a_time_without_a_front_is_a_gap_and_the_minute_before_it_keeps_its_requests(history, at):
    at(0, hits=1)
    at(MINUTE, hits=2)
    at(30 * MINUTE, hits=4)
    at(31 * MINUTE)
    assert counted(history.last(1)[1]) == [(0, 1, 0, 0), (MINUTE, 2, 0, 0), (30 * MINUTE, 4, 0, 0)]


def test_counters_that_began_anew_give_no_negative_numbers(history, redis, at):
    at(0, hits=5, misses=5)
    at(MINUTE, hits=1)
    at(2 * MINUTE)
    redis.client(2).flushdb()
    at(2 * MINUTE + 1, hits=3)
    at(3 * MINUTE)
    assert counted(history.last(1)[1])[-1] == (2 * MINUTE, 3, 0, 0)


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(history, state, at):
    at(0, hits=1)
    at(MINUTE, hits=2)
    at(2 * MINUTE, hits=4)
    state.delete(f"voice:cache:turn:{MIDNIGHT + MINUTE}")  # as after two minutes
    at(MINUTE, hits=8)
    state.delete(f"voice:cache:turn:{MIDNIGHT + 2 * MINUTE}")
    at(2 * MINUTE)
    at(3 * MINUTE)
    assert counted(history.last(1)[1]) == [(0, 1, 0, 0), (MINUTE, 10, 0, 0), (2 * MINUTE, 4, 0, 0)]


@pytest.mark.parametrize(
    ("hours", "step_s"),
    [(1, 60), (5, 60), (6, 120), (10, 120), (11, 300), (25, 300), (26, 3600), (300, 3600), (720, 10_800)],
)
def test_the_further_back_the_longer_the_steps(history, hours, step_s):
    assert history.last(hours) == (step_s, [])


def test_steps_add_up_to_the_same_and_there_are_some_300_at_most(history, at):
    for minute in range(0, DAY // MINUTE + 1, 7):
        at(minute * MINUTE, hits=minute % 3, misses=1)
    for hours, most in ((24, 289), (720, 9)):
        step_s, records = history.last(hours)
        assert 8 <= len(records) <= most
        assert all((record.at_s - MIDNIGHT) % step_s == 0 for record in records)
        assert sum(record.misses for record in records) == DAY // MINUTE // 7
    assert len(history.last(5)[1]) == 300 // 7


def test_it_is_kept_for_a_day_by_the_minute_for_a_month_by_the_hour_and_stays_small(state, at):
    at(0)
    with state.pipeline() as pipe:
        for key, step_s, number in (("minutes", MINUTE, 26 * 60), ("hours", HOUR, 32 * 24)):
            for at_s in range(MIDNIGHT, MIDNIGHT + number * step_s, step_s):
                pipe.zadd(f"voice:cache:{key}", {f"{at_s} 123456 12345 1234 123456 12345678901": at_s})
        pipe.execute()
    at(26 * HOUR)
    at(26 * HOUR + MINUTE)
    assert state.zcard("voice:cache:minutes") == 25 * 60
    assert sum(state.memory_usage(f"voice:cache:{key}", samples=0) for key in ("minutes", "hours")) < 400_000
    at(32 * DAY)
    at(32 * DAY + MINUTE)
    assert state.zcard("voice:cache:minutes") == 1
    assert state.zcard("voice:cache:hours") == 720


def test_a_redis_that_is_away_costs_a_look_and_no_request(history, state, clock, at):
    away = front_client(f"redis://127.0.0.1:{free_port()}")
    cache_away = AudioCache(away, ttl_s=1, degraded_ttl_s=1, max_size_bytes=1)
    at(0, hits=1)
    clock.now_s += MINUTE
    with pytest.raises(StateUnavailable):
        CacheHistory(state, cache_away, clock=clock).once()
    with pytest.raises(StateUnavailable):
        CacheHistory(away, cache_away, clock=clock).last(1)
    at(2 * MINUTE)
    assert counted(history.last(1)[1]) == [(0, 1, 0, 0)]
