"""How many syntheses a key may begin in a minute, on every supported Redis."""

from __future__ import annotations

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


def take(limit, redis, times, key_id="shop"):
    return [take_one(limit, redis, key_id) for _ in range(times)]


def take_one(limit, redis, key_id="shop"):
    """Take as the farm does: whoever gets none gives it back, for it is counted all the same."""
    allowance = limit.allowance(key_id)
    redis.execute_command(*allowance.taking)
    has_got_one = int(redis.get(allowance.window)) <= allowance.most
    if not has_got_one:
        limit.give_back(key_id)
    return has_got_one


def test_a_key_gets_as_many_as_it_may_and_each_key_has_its_own(limit, redis):
    assert take(limit, redis, 5) == [True, True, True, False, False]
    assert take(limit, redis, 1, "another") == [True]


def test_what_is_given_back_can_be_taken_again(limit, redis):
    take(limit, redis, 5)
    limit.give_back("shop")
    assert take(limit, redis, 2) == [True, False]


def test_those_who_got_none_take_nothing_from_those_who_give_back(limit, redis):
    take(limit, redis, 20)
    for _ in range(3):
        limit.give_back("shop")
    assert take(limit, redis, 4) == [True, True, True, False]


def test_the_count_is_its_own_answer(limit, redis):
    taking = limit.allowance("shop").taking
    assert [redis.execute_command(*taking) for _ in range(3)] == [1, 2, 3]


def test_the_window_is_a_minute_from_the_first_and_ends_when_it_is_told(limit, redis):
    take(limit, redis, 4)
    [window] = redis.keys("voice:rate:*")
    assert 59_000 < redis.pttl(window) <= 60_000
    for left_ms in (60_000, 30_499, 30_500, 1):
        redis.pexpire(window, left_ms)
        assert left_ms - 100 <= limit.resets_in_s("shop") * 1000 <= left_ms + 1_600
    redis.delete(window)
    assert limit.resets_in_s("shop") == 1
    assert take(limit, redis, 1) == [True]


def test_what_is_given_back_after_the_window_stays_no_longer_than_a_window(limit, redis):
    take(limit, redis, 1)
    redis.flushdb()
    limit.give_back("shop")
    assert 0 < redis.pttl(redis.keys("voice:rate:*")[0]) <= 60_000


def test_a_limit_of_none_asks_nobody():
    limit = RateLimit(front_client("redis://127.0.0.1:1/0"), 0)
    assert limit.allowance("shop") is None
    limit.give_back("shop")


def test_a_redis_that_fails_is_told_and_a_failed_giving_back_is_not():
    limit = RateLimit(front_client("redis://127.0.0.1:1/0"), 3)
    with pytest.raises(StateUnavailable):
        limit.resets_in_s("shop")
    limit.give_back("shop")


def test_a_redis_that_hangs_is_given_up_after_the_fronts_own_time(limit, redis, every_redis):
    take(limit, redis, 1)
    every_redis.pause()
    try:
        with pytest.raises(StateUnavailable):
            limit.resets_in_s("shop")
    finally:
        every_redis.resume()
