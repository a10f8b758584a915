"""Voices held and dropped on request: what the workers tell is what is answered."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from shared.connections import worker_client
from shared.presence import Presence, Worker
from shared.voice_holding import CHANNEL, VoiceHolding, Wish

SAMPLE = "0123456789abcdef0123456789abcdef"
XTTS = Worker(name="xtts@one", provider="xtts_v2", slots=1, device="cpu", pid=1)
STYLE = Worker(name="styletts2@one", provider="styletts2", slots=1, device="cpu", pid=3)
OTHER = Worker(name="xtts@two", provider="xtts_v2", slots=1, device="cuda:0", pid=2)
BOTH = ["styletts2", "xtts_v2"]


@pytest.fixture
def redis(redis_server):
    return worker_client(redis_server.url(1))


@pytest.fixture
def presence(redis):
    return Presence(redis)


@pytest.fixture
def listening(redis, presence):
    """Have workers do what they are asked; `deaf` ones only live."""
    channels, threads = [], []

    def follow(channel, workers):
        for message in channel.listen():
            if message["type"] == "unsubscribe":
                return
            wish = Wish.from_json(message["data"])
            for worker in (each for each in workers if each.provider in wish.providers):
                presence.beat(replace(worker, voices=(wish.sample_id,) if wish.what == "hold" else ()))

    def listen(*workers, deaf=()):
        for worker in (*workers, *deaf):
            presence.beat(worker)
        channel = redis.pubsub(ignore_subscribe_messages=False)
        channel.subscribe(CHANNEL)
        assert channel.get_message(timeout=5)["type"] == "subscribe"
        channels.append(channel)
        threads.append(threading.Thread(target=follow, args=(channel, workers)))
        threads[-1].start()

    yield listen
    for channel in channels:
        channel.unsubscribe()
    for thread in threads:
        thread.join(10)


def holding(redis, presence, patience_s=10.0):
    return VoiceHolding(redis, presence, patience_s=patience_s)


def test_a_voice_is_held_when_every_worker_has_told_so(redis, presence, listening):
    listening(XTTS, OTHER)
    assert holding(redis, presence).hold(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": True}
    assert {worker.voices for worker in presence.workers()} == {(SAMPLE,)}


def test_a_worker_that_does_not_follow_is_waited_for_and_told_of(redis, presence, listening):
    listening(XTTS, deaf=[OTHER])
    assert holding(redis, presence, 1.0).hold(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": False}


def test_without_workers_nobody_waits(redis, presence):
    assert holding(redis, presence, 600).hold(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": False}
    assert holding(redis, presence, 600).drop(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": False}


def test_a_voice_that_was_held_is_dropped_once(redis, presence, listening):
    listening(XTTS)
    voices = holding(redis, presence)
    voices.hold(SAMPLE, BOTH)
    assert voices.drop(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": True}
    assert voices.drop(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": False}


def test_one_provider_alone_holds_and_drops(redis, presence, listening):
    listening(XTTS, STYLE)
    voices = holding(redis, presence)
    assert voices.held(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": False}
    assert voices.hold(SAMPLE, ["xtts_v2"]) == {"xtts_v2": True}
    assert voices.held(SAMPLE, BOTH) == {"styletts2": False, "xtts_v2": True}
    voices.hold(SAMPLE, BOTH)
    assert voices.drop(SAMPLE, ["xtts_v2"]) == {"xtts_v2": True}
    assert voices.held(SAMPLE, BOTH) == {"styletts2": True, "xtts_v2": False}
