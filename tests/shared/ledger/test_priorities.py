"""What is made for the cache waits behind what somebody waits for, and becomes one of those."""

from __future__ import annotations

import pytest

from shared.errors import QueueFull
from shared.ledger import Status, take_census
from shared.ledger.store import KEEP_LIVE_MS
from shared.priorities import Priority
from tests.shared.ledger.machine import (
    CHAIN,
    JOB_TTL_MS,
    KEYS,
    listed,
    make_ledger,
    prewarm,
    result,
    submit,
)

BEHIND = Priority.PREWARM.queue(CHAIN[0])


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def ledger(redis):
    return make_ledger(redis)


def succeed(ledger, claim):
    assert ledger.succeed(claim, result(claim.cache_key), b"abc")


def test_who_answers_for_the_cache_takes_the_oldest_that_somebody_waits_for(ledger):
    _, warm = prewarm(ledger, KEYS[0])
    _, first = submit(ledger, KEYS[1])
    ledger.frozen_ms += 1
    _, second = submit(ledger, KEYS[2])
    taken = [ledger.claim(warm.rendering_id, CHAIN[0], "worker").rendering_id for _ in range(3)]
    assert taken == [first.rendering_id, second.rendering_id, warm.rendering_id]


def test_who_waits_has_no_warming_before_it_in_the_queue(ledger):
    for key in KEYS[:2]:
        prewarm(ledger, key)
    job_id, _ = submit(ledger, KEYS[2])
    assert ledger.job(job_id).position == 1
    assert [ledger.queued(queue) for queue in (CHAIN[0], BEHIND)] == [1, 2]


def test_warming_takes_no_place_of_the_backlog(redis):
    ledger = make_ledger(redis, max_backlog=1)
    prewarm(ledger, KEYS[0], max_backlog=1)
    with pytest.raises(QueueFull):
        prewarm(ledger, KEYS[1], max_backlog=1)
    assert submit(ledger, KEYS[1])[1].how == "new"


def test_warming_that_somebody_asks_for_becomes_urgent(ledger):
    warm_job, warm = prewarm(ledger, KEYS[0])
    job_id, joined = submit(ledger, KEYS[0])
    assert (joined.how, joined.urged, joined.rendering_id) == ("joined", CHAIN[0], warm.rendering_id)
    assert [ledger.queued(queue) for queue in (CHAIN[0], BEHIND)] == [1, 0]
    assert submit(ledger, KEYS[0])[1].urged is None, "it is rung for once"
    succeed(ledger, ledger.claim(warm.rendering_id, CHAIN[0], "worker"))
    assert [ledger.job(each).status for each in (warm_job, job_id)] == [Status.SUCCEEDED] * 2


def test_warming_under_way_that_is_asked_for_is_urgent_for_the_next_provider(ledger):
    _, warm = prewarm(ledger, KEYS[0])
    claim = ledger.claim(warm.rendering_id, CHAIN[0], "worker")
    assert submit(ledger, KEYS[0])[1].urged is None, "somebody is at it"
    ledger.pass_on(claim.rendering_id, claim.attempt, CHAIN[1])
    assert ledger.queued(CHAIN[1]) == 1


def test_jobs_for_the_cache_are_in_nobodys_list(ledger):
    job_id, _ = prewarm(ledger, KEYS[0])
    assert listed(ledger) == listed(ledger, owner="batch") == []
    assert ledger.job(job_id).status is Status.QUEUED


def test_audio_for_the_cache_alone_is_kept_no_longer_than_it_can_be_joined(ledger, redis):
    _, warm = prewarm(ledger, KEYS[0])
    succeed(ledger, ledger.claim(warm.rendering_id, CHAIN[0], "worker"))
    assert 0 < redis.pttl(f"voice:result:{warm.rendering_id}") <= KEEP_LIVE_MS
    _, done = submit(ledger, KEYS[0], looked_ago_ms=10)
    assert done.how == "done"
    assert KEEP_LIVE_MS < redis.pttl(f"voice:result:{warm.rendering_id}") <= JOB_TTL_MS


def test_leaving_what_is_queued_only_lets_go_on_what_has_begun(ledger):
    job_id, warm = prewarm(ledger, KEYS[0])
    waiting, _ = prewarm(ledger, KEYS[1])
    claim = ledger.claim(warm.rendering_id, CHAIN[0], "worker")
    assert [ledger.leave(each, if_queued=True) for each in (job_id, waiting)] == ["running", "left"]
    succeed(ledger, claim)
    assert [ledger.job(each).status for each in (job_id, waiting)] == [Status.SUCCEEDED, Status.CANCELLED]


def test_the_census_tells_the_two_queues_apart(ledger, redis):
    prewarm(ledger, KEYS[0])
    prewarm(ledger, KEYS[1])
    submit(ledger, KEYS[2])
    census = take_census(redis, CHAIN)
    assert (census.queues[CHAIN[0]].depth, census.queues[CHAIN[0]].prewarm_depth) == (1, 2)
    assert census.running == 0
