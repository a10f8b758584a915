"""Who is alive and how fast they are, on every supported Redis."""

from __future__ import annotations

import pytest

from shared.ledger.attempts import PassedOver
from shared.presence import LIVE_FOR_MS, Presence, Worker
from shared.provider_stats import ProviderStats, Synthesis

ONE = Worker(name="one", provider="espeak", slots=2, device="cpu", pid=1)
TWO = Worker(name="two", provider="espeak", slots=3, device="cpu", pid=2)


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def presence(redis) -> Presence:
    return Presence(redis)


def test_those_who_beat_are_alive_until_they_leave(presence):
    assert presence.roll_call().obstacle("espeak") is PassedOver.NO_WORKER
    for worker in (ONE, TWO):
        presence.beat(worker)
    assert sorted(presence.workers(), key=lambda worker: worker.name) == [ONE, TWO]
    assert presence.roll_call().obstacle("espeak") is None
    assert presence.roll_call().obstacle("piper") is PassedOver.NO_WORKER
    assert (presence.slots("espeak"), presence.slots("piper")) == (5, 0)
    presence.leave(ONE)
    assert presence.workers() == (TWO,)


def test_those_who_fall_silent_are_not(presence, redis):
    for worker in (ONE, TWO):
        presence.beat(worker)
    redis.zincrby("voice:workers", -LIVE_FOR_MS - 1000, "one")
    redis.delete("voice:worker:two")
    assert presence.workers() == ()


def test_a_backlog_drains_at_the_measured_rate(presence, redis):
    for worker in (ONE, TWO):
        presence.beat(worker)
    ProviderStats(redis).note_synthesis("espeak", Synthesis(service_ms=2000, audio_ms=1000))
    assert presence.eta_seconds("espeak", 10) == 4
    assert presence.drain_seconds("espeak", 10) == 6, "five run, ten wait, five at a time, two seconds each"
