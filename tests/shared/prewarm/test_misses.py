"""What was missed most lately comes first; old misses fade, and the list has an end."""

from __future__ import annotations

import pytest

from shared.models import SpeechRequest
from shared.orders import Order
from shared.prewarm import Misses
from shared.prewarm import misses as module

DAY = 1.0  # in half-lives, the unit of the scores


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def misses(redis):
    return Misses(redis, is_on=True)


@pytest.fixture
def order(farm):
    def order(text, **fields):
        directory = farm.directory
        return Order.of(
            SpeechRequest(text=text, **fields),
            directory.personality(directory.read_epoch(), None),
            digest="",
            owner="",
            roll_call=farm.presence.roll_call(),
        )

    return order


def miss(misses, order, times=1):
    for _ in range(times):
        misses.note(order)
    misses.flush()


def grow_older(redis, days):
    for name, score in redis.zrange("voice:missed", 0, -1, withscores=True):
        redis.zadd("voice:missed", {name: score - days * DAY})


def ranking(misses):
    return [(miss.request.text, miss.count) for miss in misses.top(100)]


def test_the_most_missed_comes_first(misses, order):
    miss(misses, order("Rare."))
    miss(misses, order("Frequent."), 3)
    assert ranking(misses) == [("Frequent.", 3), ("Rare.", 1)]
    assert [each.score for each in misses.top(2)] == pytest.approx([3, 1], rel=0.01)
    assert len(misses.top(1)) == 1


def test_a_miss_counts_half_a_day_later(misses, redis, order):
    miss(misses, order("Old."), 4)
    grow_older(redis, 3)
    miss(misses, order("New."))
    assert ranking(misses) == [("New.", 1), ("Old.", 4)]
    assert [each.score for each in misses.top(2)] == pytest.approx([1, 0.5], rel=0.01)
    miss(misses, order("Old."))
    assert misses.top(1)[0].score == pytest.approx(1.5, rel=0.01)


def test_years_do_not_overflow_it(misses, redis, order):
    miss(misses, order("Old."), 2)
    grow_older(redis, 5000)
    miss(misses, order("Old."))
    assert misses.top(1)[0].score == pytest.approx(1, rel=0.01)


def test_what_is_written_otherwise_is_the_same_text_and_another_speed_is_another(misses, order):
    miss(misses, order("Hello  there."))
    miss(misses, order(" Hello there. "))
    miss(misses, order("Hello there.", speed=1.5))
    assert ranking(misses) == [("Hello there.", 2), ("Hello there.", 1)]
    assert [each.request.speed for each in misses.top(2)] == [1.0, 1.5]


def test_the_least_missed_are_forgotten(misses, redis, order, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 4)
    for number in range(6):
        assert len(ranking(misses)) == number
        miss(misses, order(f"Number {number}."), 6 - number)
    assert ranking(misses) == [("Number 0.", 6), ("Number 1.", 5), ("Number 2.", 4), ("Number 3.", 3)]
    assert redis.hlen("voice:missed:about") == redis.hlen("voice:missed:counts") == 4


def test_nothing_is_kept_where_a_setting_says_so(redis, order):
    miss(Misses(redis, is_on=False), order("Secret."))
    assert not list(redis.scan_iter("voice:missed*"))
