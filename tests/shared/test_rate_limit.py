"""How many syntheses a key may begin in a minute, on every supported Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.connections import front_client
from shared.errors import StateUnavailable
from shared.rate_limit import RateLimit


@pytest.fixture
def redis(every_redis):
    client = front_client(every_redis.url(1))
    client.flushdb()
    return client


@pytest.fixture
def limit(redis) -> RateLimit:
    return RateLimit(redis, 3)


def take(limit, times, key_id="shop"):
    return [limit.take(key_id) for _ in range(times)]


def test_a_key_gets_as_many_as_it_may_and_each_key_has_its_own(limit):
    assert take(limit, 5) == [True, True, True, False, False]
    assert take(limit, 1, "another") == [True]


def test_what_is_given_back_can_be_taken_again(limit):
    take(limit, 5)
    limit.give_back("shop")
    assert take(limit, 2) == [True, False]


def test_those_who_got_none_take_nothing_from_those_who_give_back(limit):
    take(limit, 20)
    for _ in range(3):
        limit.give_back("shop")
    assert take(limit, 4) == [True, True, True, False]


def test_fronts_that_count_at_once_never_give_out_more(redis):
    limits = [RateLimit(redis, 50) for _ in range(2)]
    with ThreadPoolExecutor(16) as pool:
        taken = list(pool.map(lambda n: limits[n % 2].take("shop"), range(200)))
    assert taken.count(True) == 50


def test_the_window_is_a_minute_from_the_first_and_ends_when_it_is_told(limit, redis):
    take(limit, 4)
    [window] = redis.keys("voice:rate:*")
    assert 59_000 < redis.pttl(window) <= 60_000
    for left_ms in (60_000, 30_499, 30_500, 1):
        redis.pexpire(window, left_ms)
        assert left_ms - 100 <= limit.resets_in_s("shop") * 1000 <= left_ms + 1_600
    redis.delete(window)
    assert limit.resets_in_s("shop") == 1
    assert take(limit, 1) == [True]


def test_what_is_given_back_after_the_window_stays_no_longer_than_a_window(limit, redis):
    take(limit, 1)
    redis.flushdb()
    limit.give_back("shop")
    assert 0 < redis.pttl(redis.keys("voice:rate:*")[0]) <= 60_000


def test_a_limit_of_none_asks_nobody():
    limit = RateLimit(front_client("redis://127.0.0.1:1/0"), 0)
    assert all(take(limit, 1000))
    limit.give_back("shop")


def test_one_round_trip_is_what_it_takes(limit, redis):
    take(limit, 1)
    before = redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    take(limit, 1)
    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] == before + 1


def test_a_redis_that_fails_is_told_and_a_failed_giving_back_is_not():
    limit = RateLimit(front_client("redis://127.0.0.1:1/0"), 3)
    with pytest.raises(StateUnavailable):
        limit.take("shop")
    with pytest.raises(StateUnavailable):
        limit.resets_in_s("shop")
    limit.give_back("shop")


def test_a_redis_that_hangs_is_given_up_after_the_fronts_own_time(limit, every_redis):
    take(limit, 1)
    every_redis.pause()
    try:
        with pytest.raises(StateUnavailable):
            limit.take("shop")
    finally:
        every_redis.resume()
