"""How many renderings wait, run and have ended."""

from __future__ import annotations

import time

import pytest

from shared.ledger import Status, take_census
from shared.ledger.census import QueueState
from tests.shared.ledger.machine import CHAIN, DEADLINE_MS, KEYS, make_ledger, result, submit


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def ledger(redis):
    return make_ledger(redis)


def test_an_idle_farm_has_nothing_under_way(redis):
    census = take_census(redis, CHAIN)
    assert census.queues == {name: QueueState(0, 0.0) for name in CHAIN}
    assert census.running == 0
    assert census.ended == {Status.SUCCEEDED: 0, Status.FAILED: 0, Status.CANCELLED: 0}


def test_what_waits_is_counted_by_provider_with_the_age_of_the_oldest(redis, ledger):
    now_ms = round(time.time() * 1000)
    for age_s, key in ((90, KEYS[0]), (30, KEYS[1])):
        ledger.frozen_ms = now_ms - 1000 * age_s
        submit(ledger, key)
    submit(ledger, KEYS[2], provider=CHAIN[1])
    queues = take_census(redis, CHAIN).queues
    assert [queues[name].depth for name in CHAIN] == [2, 1]
    assert queues[CHAIN[0]].oldest_age_s == pytest.approx(90, abs=10)
    assert queues[CHAIN[1]].oldest_age_s == pytest.approx(30, abs=10)


def test_what_runs_and_what_has_ended_is_counted(redis, ledger):
    jobs = [submit(ledger, key) for key in (*KEYS, "d" * 64)]
    claims = [ledger.claim(submitted.rendering_id, CHAIN[0], "worker") for _, submitted in jobs[:3]]
    assert take_census(redis, CHAIN).running == 3
    ledger.succeed(claims[0], result(KEYS[0]), b"abc")
    ledger.fail(claims[1].rendering_id, claims[1].attempt, "synthesis_failed", "It failed.")
    ledger.leave(jobs[3][0])
    census = take_census(redis, CHAIN)
    assert (census.running, census.queues[CHAIN[0]].depth) == (1, 0)
    assert census.ended == {Status.SUCCEEDED: 1, Status.FAILED: 1, Status.CANCELLED: 1}


def test_a_fenced_end_and_one_past_the_deadline_are_counted_once(redis, ledger):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.frozen_ms += DEADLINE_MS
    ledger.sweep()
    ledger.succeed(claim, result(KEYS[0]), b"abc")
    assert take_census(redis, CHAIN).ended[Status.FAILED] == 1
    assert take_census(redis, CHAIN).ended[Status.SUCCEEDED] == 0
