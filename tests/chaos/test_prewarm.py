"""A batch ends whatever dies meanwhile: nothing of it is lost, nothing counts or is spoken twice."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import pytest

from tests.farm import until

PREWARM = "/api/voice/prewarm"
# Each takes espeak a while, so that something is left to do when something dies.
ITEMS = 50


def stored(http):
    """Count what is stored, and what was looked for by those who were not pre-warming."""
    stats = http.get("/api/voice/cache/stats").json()["cache"]
    return {name: stats[name] for name in ("sets", "entries", "total_requests")}


class Batch(NamedTuple):
    location: str
    stored_before: dict[str, int]


@pytest.fixture
def batch(http):
    """Begin a batch and let it get under way."""
    before = stored(http)
    phrases = [f"Phrase {uuid.uuid4().hex[:8]} {'and so on ' * 50}." for _ in range(ITEMS)]
    answer = http.post(PREWARM, json={"phrases": phrases, "qualities": ["fast"]})
    assert answer.status_code == 202, answer.text
    location = answer.headers["Location"]
    until(lambda: http.get(location).json()["counts"]["succeeded"], "some of it is there")
    assert http.get(location).json()["status"] == "running"
    return Batch(location, before)


def ends_whole(http, batch):
    until(lambda: http.get(batch.location).json()["finished_at"], "the batch ends")
    ended = http.get(batch.location).json()
    assert (ended["status"], ended["counts"]["succeeded"], ended["failed"]) == ("finished", ITEMS, [])
    new = {"sets": ITEMS, "entries": ITEMS, "total_requests": 0}
    assert stored(http) == {name: count + new[name] for name, count in batch.stored_before.items()}


def test_a_front_that_is_killed_leaves_its_batch_to_the_next(farm, http, batch):
    farm["web"].kill()
    farm["web"].start()
    farm.wait_until_it_answers()
    ends_whole(http, batch)


def test_a_pool_that_is_killed_leaves_its_items_to_the_next(farm, http, batch):
    farm["espeak"].kill()
    farm["espeak"].start()
    ends_whole(http, batch)


def test_a_batch_waits_for_a_worker(farm, http, batch):
    farm["espeak"].stop()
    until(lambda: http.get("/readyz").status_code == 503, "no worker is left")
    assert http.get(batch.location).json()["status"] == "running"
    farm["espeak"].start()
    ends_whole(http, batch)


def test_a_batch_outlasts_the_end_of_everything(farm, http, batch):
    farm.redis.client(1).config_set("appendfsync", "always")
    until(lambda: http.get(batch.location).json()["counts"]["running"], "more is under way")
    for program in ("web", "espeak"):
        farm[program].kill()
    farm.redis.kill()
    farm.redis.start()
    for program in ("web", "espeak"):
        farm[program].start()
    farm.wait_until_it_answers()
    ends_whole(http, batch)


def test_messages_that_are_lost_are_sent_again(farm, http, batch):
    farm.redis.client(0).flushdb()
    ends_whole(http, batch)
