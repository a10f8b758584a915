"""Who is alive and how fast they are, on every supported Redis."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.presence import LIVE_FOR_MS, Presence, Worker

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
    assert presence.live() == frozenset()
    for worker in (ONE, TWO):
        presence.beat(worker)
    assert sorted(presence.workers(), key=lambda worker: worker.name) == [ONE, TWO]
    assert presence.live() == {"espeak"}
    assert (presence.slots("espeak"), presence.slots("piper")) == (5, 0)
    presence.leave(ONE)
    assert presence.workers() == [TWO]


def test_those_who_fall_silent_are_not(presence, redis):
    for worker in (ONE, TWO):
        presence.beat(worker)
    redis.zincrby("voice:workers", -LIVE_FOR_MS - 1000, "one")
    redis.delete("voice:worker:two")
    assert presence.workers() == []


def test_the_mean_follows_what_is_measured(presence):
    assert presence.service_ms("espeak") == 1000
    presence.note_service("espeak", 200.5)
    assert presence.service_ms("espeak") == 200.5
    presence.note_service("espeak", 300.5)
    assert presence.service_ms("espeak") == pytest.approx(210.5)


def test_workers_that_note_at_once_do_not_undo_each_others(presence):
    presence.note_service("espeak", 0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: presence.note_service("espeak", 100), range(64)))
    assert presence.service_ms("espeak") == pytest.approx(100 * (1 - 0.9**64))


def test_a_backlog_drains_at_the_measured_rate(presence):
    for worker in (ONE, TWO):
        presence.beat(worker)
    presence.note_service("espeak", 2000)
    assert presence.eta_seconds("espeak", 10) == 4
    assert presence.drain_seconds("espeak", 10) == 6, "five run, ten wait, five at a time, two seconds each"
