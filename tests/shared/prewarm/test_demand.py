"""What a personality is asked for most lately comes first, hits and misses alike, and the list has an end."""

from __future__ import annotations

import pytest

from shared.models import SpeechRequest
from shared.orders import Order
from shared.prewarm import Demand
from shared.prewarm import demand as module

MARCEL, SHANTE = (f"00000000-0000-0000-0001-{number:012}" for number in (1, 2))
DAY = 1.0  # in half-lives, the unit of the scores


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def demand(redis):
    return Demand(redis, is_on=True)


@pytest.fixture
def order(farm):
    def order(text, personality_id=MARCEL, **fields):
        directory = farm.directory
        return Order.of(
            SpeechRequest(text=text, personality_id=personality_id, **fields),
            directory.personality(directory.read_epoch(), personality_id),
            digest="",
            owner="",
            roll_call=farm.presence.roll_call(),
        )

    return order


def ask(demand, order, times=1):
    """Ask as often; all but the first time it is a hit of a front's memory."""
    demand.note(order)
    for _ in range(times - 1):
        demand.note_hit(order.key)
    demand.flush()


def texts(demand, personality_id=MARCEL, limit=100):
    return [request.text for request in demand.top(personality_id, limit)]


def test_what_is_asked_for_most_comes_first_of_each_personality(demand, order):
    ask(demand, order("Rare."), 2)
    ask(demand, order("Frequent."), 5)
    ask(demand, order("Hers.", SHANTE))
    assert texts(demand) == ["Frequent.", "Rare."]
    assert texts(demand, limit=1) == ["Frequent."]
    assert texts(demand, SHANTE) == ["Hers."]


def test_the_request_is_kept_as_it_can_be_made_again(demand, order):
    ask(demand, order("  Hello  there. ", speed=1.5, quality="fast", format="mp3"))
    [request] = demand.top(MARCEL, 10)
    assert (request.text, request.speed, request.quality, request.format) == (
        "Hello there.", 1.5, "fast", "mp3",
    )  # fmt: skip
    assert (request.personality_id, request.language) == (MARCEL, "en")


def test_it_counts_half_a_day_later(demand, redis, order):
    ask(demand, order("Old."), 4)
    [(name, score)] = redis.zrange(f"voice:asked:{MARCEL}", 0, -1, withscores=True)
    redis.zadd(f"voice:asked:{MARCEL}", {name: score - 3 * DAY})
    ask(demand, order("New."))
    assert texts(demand) == ["New.", "Old."]


def test_so_many_times_at_once_are_as_many_one_by_one(demand, redis, order):
    ask(demand, order("Together."), 4)
    for _ in range(4):
        ask(demand, order("Singly."))
    scores = [score for _, score in redis.zrange(f"voice:asked:{MARCEL}", 0, -1, withscores=True)]
    assert scores[0] == pytest.approx(scores[1], abs=0.001)


def test_several_fronts_count_together(demand, redis, order):
    another = Demand(redis, is_on=True)
    for each in (demand, another):
        ask(each, order("Both."), 2)
    ask(demand, order("One."), 3)
    assert texts(demand) == ["Both.", "One."]


def test_it_is_the_same_after_the_voice_has_changed(demand, order):
    before, after = order("Hello."), order("Hello.")
    after.key = "another"
    ask(demand, before)
    ask(demand, after)
    assert texts(demand) == ["Hello."]


def test_the_least_asked_for_is_forgotten(demand, redis, order, monkeypatch):
    monkeypatch.setattr(module, "MAX_KEPT", 4)
    for number in range(6):
        ask(demand, order(f"Number {number}."), 6 - number)
    assert texts(demand) == ["Number 0.", "Number 1.", "Number 2.", "Number 3."]
    assert redis.zcard(f"voice:asked:{MARCEL}") == redis.hlen(f"voice:asked:{MARCEL}:about") == 4


def test_what_was_forgotten_is_told_again(demand, redis, order):
    ask(demand, order("Hello."))
    redis.flushdb()
    ask(demand, order("Hello."))
    assert texts(demand) == [], "it was counted, and is told next time"
    ask(demand, order("Hello."))
    assert texts(demand) == ["Hello."]


def test_what_nobody_asks_for_any_more_is_gone_in_the_end(demand, redis, order):
    ask(demand, order("Hello."))
    for part in ("", ":about"):
        assert 13 < redis.ttl(f"voice:asked:{MARCEL}{part}") / 86_400 <= 14


def test_a_personality_is_forgotten(demand, redis, order):
    ask(demand, order("Hello."))
    ask(demand, order("Hello.", SHANTE))
    demand.forget([])
    demand.forget([MARCEL])
    assert (texts(demand), texts(demand, SHANTE)) == ([], ["Hello."])
    assert not redis.exists(f"voice:asked:{MARCEL}:about")


def test_a_hit_whose_request_is_not_known_is_not_counted(demand, redis):
    demand.note_hit("unknown")
    demand.flush()
    assert not list(redis.scan_iter("voice:asked*"))


def test_nothing_is_kept_where_a_setting_says_so(redis, order):
    ask(Demand(redis, is_on=False), order("Secret."), 2)
    assert not list(redis.scan_iter("voice:asked*"))
