"""A worker that is rung for the cache first speaks for whoever waits, and loses neither."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.cache import AudioCache
from shared.catalog import CATALOG
from shared.circuits import CIRCUITS, PROBE_AFTER_MS
from shared.ledger import Status
from shared.outcomes import Outcomes
from shared.presence import Presence, Worker
from shared.priorities import Priority
from shared.settings import Settings
from tests.shared.ledger.machine import CHAIN, KEYS, Bell, make_ledger, prewarm, submit
from workers.engine import Engine
from workers.renderer import Renderer

NAME = CHAIN[0]
BEHIND = Priority.PREWARM.queue(NAME)


@pytest.fixture
def ledger(redis_server):
    return make_ledger(redis_server.client(1))


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def renderer(redis_server, ledger, bell):
    settings, state = Settings.load(), redis_server.client(1)
    presence = Presence(state)
    presence.beat(Worker("one", NAME, slots=1, device="cpu", pid=1))
    cache = AudioCache(redis_server.client(2), ttl_s=100, degraded_ttl_s=10, max_size_bytes=1_000_000)
    engine = Engine(replace(CATALOG["espeak"], name=NAME), settings)
    return Renderer(
        engine, settings, worker="test", ledger=ledger, cache=cache, presence=presence,
        outcomes=Outcomes(state), doorbell=bell,
    )  # fmt: skip


def test_who_waits_is_served_first_and_the_other_is_rung_for_again(ledger, renderer, bell):
    warm_job, warm = prewarm(ledger, KEYS[0])
    job_id, _ = submit(ledger, KEYS[1])
    renderer.render(warm.rendering_id)
    assert [ledger.job(each).status for each in (warm_job, job_id)] == [Status.QUEUED, Status.SUCCEEDED]
    assert bell.messages == [(BEHIND, warm.rendering_id)]
    renderer.render(warm.rendering_id)
    assert ledger.job(warm_job).status is Status.SUCCEEDED
    assert len(bell.messages) == 1


def test_while_the_circuit_is_open_nobody_is_rung_for_over_and_over(ledger, renderer, bell):
    _, warm = prewarm(ledger, KEYS[0])
    submit(ledger, KEYS[1])
    ledger.redis.zadd(CIRCUITS, {NAME: ledger.frozen_ms + PROBE_AFTER_MS})
    renderer.render(warm.rendering_id)
    assert (BEHIND, warm.rendering_id) not in bell.messages
    assert ledger.queued(BEHIND) == 1
