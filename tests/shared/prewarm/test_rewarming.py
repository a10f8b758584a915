"""Once a period what is still asked for lives on, and a changed voice says anew what it is asked most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.cache import AudioCache
from shared.models import SpeechRequest
from shared.orders import Order
from shared.prewarm import Feeder, Rewarmer
from shared.prewarm import rewarming as module
from shared.voice_config import VoiceConfig, VoiceSettings
from tests.edits import setting
from tests.shared.prewarm.test_feeder import AUDIO, counts, speak

MARCEL, SHANTE, ZAC = (f"00000000-0000-0000-0001-{number:012}" for number in (1, 2, 3))


@pytest.fixture
def rewarmer(farm):
    rewarmer = Rewarmer.from_settings(farm.settings, farm.state, farm.cache, farm.database)
    period(farm, rewarmer)
    return rewarmer


def period(farm, rewarmer):
    """Let a period pass, and this one do its work."""
    for name in farm.state.scan_iter("voice:rewarm:[0-9]*"):
        farm.state.delete(name)
    assert rewarmer.once()


def ask(farm, text, times=1, personality_id=MARCEL):
    directory = farm.directory
    order = Order.of(
        SpeechRequest(text=text, personality_id=personality_id, quality="fast"),
        directory.personality(directory.read_epoch(), personality_id),
        digest=farm.router.digest,
        owner="",
        roll_call=farm.presence.roll_call(),
    )
    for _ in range(times):
        farm.demand.note(order)
    farm.demand.flush()
    return order


def change(farm, speed, personality_id=MARCEL):
    voice_config = VoiceConfig(voice_settings=VoiceSettings(speed=speed))
    farm.personalities.change(personality_id, setting(voice_config=voice_config))


def batches(farm):
    return farm.batches.page(limit=10, before=None, failures=10)[0]


def test_a_changed_voice_is_made_to_say_what_it_is_asked_most(farm, rewarmer):
    ask(farm, "Rare.")
    ask(farm, "Frequent.", 3)
    ask(farm, "Hers.", 5, SHANTE)
    change(farm, 1.5)
    period(farm, rewarmer)
    assert batches(farm) == [], "it may change again"
    period(farm, rewarmer)
    [batch] = batches(farm)
    assert (batch.total, batch.owner) == (2, "farm")
    feeder = Feeder(farm)
    feeder.once()
    assert speak(farm) == 2
    feeder.once()
    assert counts(farm, batch.id) == {"succeeded": 2}
    assert farm.cache.look(ask(farm, "Frequent.").key) is not None
    period(farm, rewarmer)
    assert [each.id for each in batches(farm)] == [batch.id]


def test_a_voice_that_goes_on_changing_is_made_once(farm, rewarmer):
    ask(farm, "Hello.")
    for speed in (1.1, 1.2, 1.3):
        change(farm, speed)
        period(farm, rewarmer)
    assert batches(farm) == []
    for _ in range(3):
        period(farm, rewarmer)
    assert [batch.total for batch in batches(farm)] == [1]


def test_only_so_much_of_it_is_made(farm, rewarmer):
    for number in range(5):
        ask(farm, f"Number {number}.", 5 - number)
    change(farm, 1.5)
    for _ in range(2):
        period(farm, replace(rewarmer, most=2))
    [batch] = batches(farm)
    assert [farm.batches.take(batch.id).request.text for _ in range(2)] == ["Number 0.", "Number 1."]
    assert batch.total == 2


def test_a_period_begins_only_so_much(farm, rewarmer, monkeypatch):
    monkeypatch.setattr(module, "MAX_BEGUN", 1)
    for personality_id in (MARCEL, SHANTE, ZAC):
        ask(farm, "Hello.", 1, personality_id)
        change(farm, 1.5, personality_id)
    begun = []
    for _ in range(5):
        period(farm, rewarmer)
        begun.append(len(batches(farm)))
    assert begun == [0, 1, 2, 3, 3]


def test_nothing_is_made_where_a_setting_says_so_nor_later(farm, rewarmer):
    ask(farm, "Hello.")
    change(farm, 1.5)
    for _ in range(2):
        period(farm, replace(rewarmer, most=0))
    for _ in range(2):
        period(farm, rewarmer)
    assert batches(farm) == []


def test_a_change_of_something_else_or_without_requests_makes_no_batch(farm, rewarmer):
    ask(farm, "Hello.")
    farm.personalities.change(MARCEL, setting(personality_name="Marcello"))
    change(farm, 1.5, SHANTE)
    for _ in range(2):
        period(farm, rewarmer)
    assert batches(farm) == []


def test_it_waits_while_many_wait(farm, rewarmer):
    ask(farm, "Hello.")
    change(farm, 1.5)
    crowd = {f"rendering-{number}": number for number in range(module.DEEP_BACKLOG + 1)}
    farm.state.zadd("voice:queue:espeak", crowd)
    for _ in range(3):
        period(farm, rewarmer)
    assert batches(farm) == []
    farm.state.delete("voice:queue:espeak")
    period(farm, rewarmer)
    assert [batch.total for batch in batches(farm)] == [1]


def test_an_inactive_voice_waits_until_it_is_active(farm, rewarmer):
    ask(farm, "Hello.", 1, ZAC)
    change(farm, 1.5, ZAC)
    for is_active in (False, True):
        farm.personalities.change(ZAC, setting(is_active=is_active))
        assert batches(farm) == []
        for _ in range(2):
            period(farm, rewarmer)
    assert [batch.total for batch in batches(farm)] == [1]


def test_who_dies_before_it_is_remembered_leaves_it_to_the_next(farm, rewarmer, monkeypatch):
    ask(farm, "Hello.")
    change(farm, 1.5)
    period(farm, rewarmer)
    with monkeypatch.context() as patch:
        patch.setattr(Rewarmer, "_begin", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            period(farm, rewarmer)
    period(farm, rewarmer)
    assert [batch.total for batch in batches(farm)] == [1]


def test_a_personality_that_is_gone_is_forgotten(farm, rewarmer):
    ask(farm, "Hello.", 1, ZAC)
    farm.personalities.remove(ZAC, lambda _personality: None)
    period(farm, rewarmer)
    assert farm.demand.top(ZAC, 10) == []
    assert ZAC.encode() not in farm.state.hkeys("voice:rewarm:revisions")


def test_a_period_is_one_answers_only(farm, rewarmer):
    long = replace(rewarmer, period_s=1_000_000_000)  # none ends before 2033
    another = Rewarmer.from_settings(farm.settings, farm.state, farm.cache, farm.database)
    assert [each.once() for each in (long, long, replace(another, period_s=long.period_s))] == [
        True,
        False,
        False,
    ]
    assert farm.state.ttl("voice:rewarm:1") > 0


@pytest.mark.parametrize(("period_s", "lives_on"), [(30, True), (7 * 86_400 // 4 + 1, False)])
def test_what_is_still_asked_for_lives_on_unless_its_time_is_shorter_than_a_few_periods(
    farm, rewarmer, redis_server, period_s, lives_on
):
    order = ask(farm, "Hello.")
    late = AudioCache(redis_server.client(2), ttl_s=1000, degraded_ttl_s=1, max_size_bytes=100)
    late.store(order.key, order.utterance, AUDIO)
    farm.cache.look(order.key)
    farm.cache.requests.flush()
    period(farm, replace(rewarmer, period_s=period_s))
    assert (redis_server.client(2).ttl(f"voice:audio:{order.key}") > 1000) is lives_on


def test_a_cache_that_fails_holds_up_no_voice(farm, rewarmer, redis_server):
    ask(farm, "Hello.")
    change(farm, 1.5)
    nowhere = AudioCache.from_settings(farm.settings, redis_server.client(99))
    for _ in range(2):
        period(farm, replace(rewarmer, cache=nowhere))
    assert [batch.total for batch in batches(farm)] == [1]
