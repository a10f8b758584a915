"""Messages that ring: those that are sent, and those that are drafted for the ledger to put there."""

from __future__ import annotations

import json
from base64 import b64decode

import pytest
from kombu import Connection, Queue

from shared.doorbell import TASK, Doorbell
from shared.ledger.records import rendering_id

RENDERING = rendering_id("c" * 64, "11111111-1111-4111-8111-111111111111")


@pytest.fixture
def broker(every_redis):
    client = every_redis.client(0)
    client.flushdb()
    return client


@pytest.fixture
def bell(every_redis) -> Doorbell:
    return Doorbell.for_front(every_redis.url(0), 0.5)


def told(message) -> dict:
    """What a message says, without the IDs that no two have in common."""
    said = json.loads(message)
    said["body"] = json.loads(b64decode(said["body"]))
    for where, names in (("headers", ("id", "root_id")), ("properties", ("correlation_id", "delivery_tag"))):
        for name in names:
            assert said[where].pop(name)
    return said


def test_what_is_drafted_is_what_is_sent(broker, bell):
    assert bell.ring("espeak", RENDERING)
    [sent] = broker.lrange("espeak", 0, -1)
    drafts = {bell.draft("espeak", RENDERING) for _ in range(3)}
    assert len(drafts) == 3, "each has its own ID"
    assert all(told(draft) == told(sent) for draft in drafts)
    assert told(sent)["body"][0] == [RENDERING]
    assert broker.llen("espeak") == 1, "a draft is not sent"


def test_what_was_drafted_is_taken_in_its_turn(broker, bell, every_redis):
    other = rendering_id("d" * 64, "22222222-2222-4222-8222-222222222222")
    broker.lpush("espeak", bell.draft("espeak", RENDERING))
    assert bell.ring("espeak", other)
    with Connection(every_redis.url(0)) as connection, connection.SimpleQueue(Queue("espeak")) as queue:
        messages = [queue.get(timeout=5) for _ in range(2)]
    assert [message.headers["task"] for message in messages] == [TASK] * 2
    assert [message.payload[0] for message in messages] == [[RENDERING], [other]]


def test_a_broker_that_is_away_does_not_take_a_ring():
    away = Doorbell.for_front("redis://127.0.0.1:1/0", 0.5)
    assert not away.ring("espeak", RENDERING)
    assert told(away.draft("espeak", RENDERING))["body"][0] == [RENDERING]
