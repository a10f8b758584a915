"""What each operation of the ledger does, on every supported Redis."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.connections import worker_client
from shared.errors import IdempotencyMismatch, QueueFull, RateLimited, StateUnavailable
from shared.ledger import Attempt, Idempotency, Status, TransitionReader
from shared.ledger.intake import RING_AGAIN_MS
from shared.ledger.store import KEEP_LIVE_MS
from tests.farm import until
from tests.servers import running_redis
from tests.shared.ledger.machine import (
    CHAIN,
    DAY_MS,
    DEADLINE_MS,
    JOB_TTL_MS,
    KEYS,
    LEASE_MS,
    keep,
    make_ledger,
    result,
    submit,
    usage_of,
)


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def ledger(redis):
    return make_ledger(redis)


def succeed(ledger, rendering_id):
    claim = ledger.claim(rendering_id, CHAIN[0], "worker")
    assert ledger.succeed(claim, result(claim.cache_key), b"abc")


def told_success(ledger, claim, *, usage=None):
    """What Redis answers to the command of a success."""
    ledger.redis.script_load(ledger._scripts["finish"].script)
    return ledger.redis.execute_command(*ledger.succeeding(claim, result(claim.cache_key), usage=usage))


def test_duplicate_requests_share_one_rendering(ledger):
    first_job, first = submit(ledger, KEYS[0])
    second_job, second = submit(ledger, KEYS[0])
    assert (first.how, second.how) == ("new", "joined")
    assert first.rendering_id == second.rendering_id
    succeed(ledger, first.rendering_id)
    assert [ledger.job(job).status for job in (first_job, second_job)] == [Status.SUCCEEDED] * 2


def test_a_request_that_looked_before_the_end_is_told_done(ledger):
    _, first = submit(ledger, KEYS[0])
    succeed(ledger, first.rendering_id)
    ledger.frozen_ms += 50
    _, late = submit(ledger, KEYS[0], looked_ago_ms=1000)
    assert late.how == "done"


def test_a_job_that_came_after_the_end_is_kept_as_long_after_its_own(ledger, redis):
    _, first = submit(ledger, KEYS[0])
    succeed(ledger, first.rendering_id)
    for key in (f"voice:rendering:{first.rendering_id}", f"voice:result:{first.rendering_id}"):
        redis.pexpire(key, JOB_TTL_MS - KEEP_LIVE_MS)  # a minute later
    late_job, late = submit(ledger, KEYS[0], looked_ago_ms=KEEP_LIVE_MS)
    assert late.how == "done"
    for key in (f"voice:job:{late_job}", f"voice:rendering:{first.rendering_id}"):
        assert JOB_TTL_MS - 5000 < redis.pttl(key) <= JOB_TTL_MS
    assert JOB_TTL_MS - 5000 < redis.pttl(f"voice:result:{first.rendering_id}") <= JOB_TTL_MS


def test_a_request_that_looked_after_the_end_begins_anew(ledger):
    _, first = submit(ledger, KEYS[0])
    succeed(ledger, first.rendering_id)
    ledger.frozen_ms += 50
    _, later = submit(ledger, KEYS[0], looked_ago_ms=10)
    assert later.how == "new"
    assert later.rendering_id != first.rendering_id


def test_a_submission_whose_reply_was_lost_is_not_counted_twice(ledger, redis):
    job_id, first = submit(ledger, KEYS[0])
    assert submit(ledger, KEYS[0], job_id=job_id)[1] == first
    assert redis.hget(f"voice:rendering:{first.rendering_id}", "jobs") == b"1"
    assert redis.zcard("voice:jobs") == 1


def test_a_full_queue_refuses_and_leaves_nothing_behind(redis):
    ledger = make_ledger(redis, max_backlog=1)
    submit(ledger, KEYS[0])
    before = set(redis.keys())
    with pytest.raises(QueueFull):
        submit(ledger, KEYS[1])
    assert set(redis.keys()) == before
    assert submit(ledger, KEYS[0])[1].how == "joined", "what is under way can still be joined"


def test_who_may_not_begin_may_join_and_leaves_nothing_behind(ledger, redis):
    before = set(redis.keys())
    with pytest.raises(RateLimited):
        submit(ledger, KEYS[0], may_begin=False)
    assert set(redis.keys()) == before
    _, first = submit(ledger, KEYS[0])
    assert submit(ledger, KEYS[0], may_begin=False)[1].how == "joined"
    succeed(ledger, first.rendering_id)
    ledger.frozen_ms += 50
    assert submit(ledger, KEYS[0], looked_ago_ms=1000, may_begin=False)[1].how == "done"
    with pytest.raises(RateLimited):
        submit(ledger, KEYS[0], looked_ago_ms=10, may_begin=False)


def test_a_broker_on_the_same_server_is_rung_for_what_is_new_alone(redis, every_redis):
    broker, ledger = every_redis.client(3), make_ledger(redis, broker_db="3")
    broker.flushdb()
    _, first = submit(ledger, KEYS[0], draft=lambda rendering: f"for {rendering}")
    assert (first.how, first.is_rung) == ("new", True)
    assert broker.lrange(CHAIN[0], 0, -1) == [f"for {first.rendering_id}".encode()]
    _, joined = submit(ledger, KEYS[0], draft=str)
    succeed(ledger, first.rendering_id)
    _, done = submit(ledger, KEYS[0], draft=str)
    assert (joined.how, joined.is_rung, done.how, done.is_rung) == ("joined", False, "done", False)
    _, undrafted = submit(ledger, KEYS[1])
    assert (undrafted.how, undrafted.is_rung) == ("new", False)
    assert (broker.keys(), broker.llen(CHAIN[0])) == ([CHAIN[0].encode()], 1)
    assert submit(ledger, KEYS[2], draft=str)[1].is_rung, "each is put before those that came earlier"
    assert broker.lindex(CHAIN[0], -1) == f"for {first.rendering_id}".encode()


def test_whoever_is_full_or_barred_is_not_rung_for(redis, every_redis):
    broker, ledger = every_redis.client(3), make_ledger(redis, broker_db="3", max_backlog=0)
    broker.flushdb()
    with pytest.raises(QueueFull):
        submit(ledger, KEYS[0], draft=str)
    with pytest.raises(RateLimited):
        submit(ledger, KEYS[0], draft=str, may_begin=False)
    assert not broker.keys()


def test_a_broker_that_refuses_is_for_the_caller_to_ring_and_the_job_stays(redis, every_redis):
    every_redis.client(3).flushdb()
    every_redis.client(3).set(CHAIN[0], "no list")
    for database in ("3", "99999"):
        ledger = make_ledger(redis, broker_db=database)
        job_id, submitted = submit(ledger, KEYS[int(database) % 2], draft=str)
        assert (submitted.how, submitted.is_rung) == ("new", False)
        assert ledger.job(job_id).status is Status.QUEUED
        redis.flushdb()


def test_a_request_whose_answer_was_lost_is_not_taken_for_rung(redis, every_redis):
    every_redis.client(3).flushdb()
    ledger = make_ledger(redis, broker_db="3")
    job_id, first = submit(ledger, KEYS[0], draft=str)
    _, again = submit(ledger, KEYS[0], job_id=job_id, draft=str)
    assert (first.is_rung, again.how, again.is_rung) == (True, "new", False)


def test_only_one_worker_gets_the_claim(ledger):
    _, submitted = submit(ledger, KEYS[0])
    claims = [ledger.claim(submitted.rendering_id, CHAIN[0], f"worker {n}") for n in range(3)]
    assert [claim is not None for claim in claims] == [True, False, False]


def test_a_doorbell_on_the_wrong_queue_is_not_answered(ledger):
    _, submitted = submit(ledger, KEYS[0])
    assert ledger.claim(submitted.rendering_id, CHAIN[1], "worker") is None


def test_positions_count_from_the_oldest(ledger):
    jobs = [submit(ledger, key)[0] for key in KEYS]
    assert sorted(ledger.job(job).position for job in jobs) == [1, 2, 3]
    assert ledger.job(jobs[0]).queue == CHAIN[0]


def test_a_lost_lease_goes_back_to_the_queue_and_is_told_in_attempts(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.frozen_ms += LEASE_MS
    [waiting], lost = ledger.sweep()
    assert lost == [CHAIN[0]]
    job = ledger.job(job_id)
    assert waiting.rendering_id == submitted.rendering_id
    assert job.status is Status.QUEUED
    assert [attempt.code for attempt in job.attempts] == ["worker_lost"]
    assert job.attempts[0].duration_ms >= LEASE_MS


def test_a_renewed_lease_is_kept(ledger):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.frozen_ms += LEASE_MS - 1000
    assert ledger.renew(claim) == "kept"
    ledger.frozen_ms += LEASE_MS - 1000
    assert ledger.sweep() == ([], [])


def test_a_zombie_is_fenced(ledger, redis):
    job_id, submitted = submit(ledger, KEYS[0])
    zombie = ledger.claim(submitted.rendering_id, CHAIN[0], "zombie")
    ledger.frozen_ms += 2 * LEASE_MS
    ledger.sweep()
    heir = ledger.claim(submitted.rendering_id, CHAIN[0], "heir")
    assert ledger.renew(zombie) == "fenced"
    assert not ledger.succeed(zombie, result(KEYS[0]), b"the zombie's")
    assert ledger.job(job_id).status is Status.RUNNING
    assert ledger.audio(submitted.rendering_id) is None
    assert ledger.succeed(heir, result(KEYS[0]), b"the heir's")
    assert not ledger.succeed(zombie, result(KEYS[0]), b"the zombie's")
    assert ledger.audio(submitted.rendering_id) == b"the heir's"
    assert not redis.keys("voice:draft:*")


def test_audio_is_what_it_was_whatever_bytes_it_has(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    data = b"first\naudio\0" + os.urandom(300_000)
    assert ledger.succeed(claim, result(KEYS[0]), data)
    assert ledger.audio(submitted.rendering_id) == data
    assert ledger.await_end(ledger.job(job_id), 10).audio == data


def test_without_its_audio_nothing_succeeds(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    tried = [Attempt(CHAIN[0], "silent_audio", "Nothing.", 1)]
    assert ledger._finish(claim.rendering_id, claim.attempt, "succeeded", attempts=tried) == "no audio"
    job = ledger.job(job_id)
    assert (job.status, job.attempts) == (Status.RUNNING, ())
    assert ledger.succeed(claim, result(KEYS[0]), b"abc", tried)
    assert ledger.job(job_id).attempts == tuple(tried)


def test_a_copy_that_the_cache_has_left_is_taken(ledger, redis):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    redis.set(claim.draft, b"the copy", px=10_000)
    told = told_success(ledger, claim)
    assert told == b"succeeded"
    assert ledger.succeed(claim, result(KEYS[0]), b"what would be sent", told=told)
    assert ledger.audio(submitted.rendering_id) == b"the copy"
    assert JOB_TTL_MS - 5000 < redis.pttl(f"voice:result:{submitted.rendering_id}") <= JOB_TTL_MS


def test_where_no_copy_is_the_audio_is_sent_and_its_use_counted_once(ledger, redis):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    told = told_success(ledger, claim, usage=usage_of(claim))
    assert told == b"no audio"
    assert ledger.succeed(claim, result(KEYS[0]), b"what is sent", usage=usage_of(claim), told=told)
    assert ledger.audio(submitted.rendering_id) == b"what is sent"
    assert redis.xlen("voice:usage") == 1


def test_a_success_whose_answer_was_lost_is_told_again_and_counted_once(ledger, redis):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    for data in (b"first", b"again"):
        assert ledger.succeed(claim, result(KEYS[0]), data, usage=usage_of(claim))
    assert ledger.audio(submitted.rendering_id) == b"first"
    assert redis.xlen("voice:usage") == 1
    assert not redis.keys("voice:draft:*")


def test_a_zombie_s_copy_is_not_taken_for_its_heir_s(ledger, redis):
    _, submitted = submit(ledger, KEYS[0])
    zombie = ledger.claim(submitted.rendering_id, CHAIN[0], "zombie")
    ledger.frozen_ms += 2 * LEASE_MS
    ledger.sweep()
    heir = ledger.claim(submitted.rendering_id, CHAIN[0], "heir")
    redis.set(zombie.draft, b"the zombie's", px=10_000)
    told = told_success(ledger, zombie)
    assert told == b"fenced"
    assert not ledger.succeed(zombie, result(KEYS[0]), b"the zombie's", told=told)
    assert ledger.succeed(heir, result(KEYS[0]), b"the heir's")
    assert ledger.audio(submitted.rendering_id) == b"the heir's"
    assert not redis.keys("voice:draft:*")


def test_a_server_that_has_forgotten_the_scripts_is_told_them(ledger, redis):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    redis.script_flush()
    assert ledger.succeed(claim, result(KEYS[0]), b"abc")
    redis.script_flush()
    assert ledger.await_end(ledger.job(job_id), 10).audio == b"abc"


def test_a_retry_moves_the_rendering_to_the_next_queue(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    record = Attempt(CHAIN[0], "engine_failed", 'It said: "no".', 12)
    assert ledger.pass_on(claim.rendering_id, claim.attempt, CHAIN[1], [record]) == "queued"
    job = ledger.job(job_id)
    assert (job.queue, job.attempts) == (CHAIN[1], (record,))
    assert ledger.claim(submitted.rendering_id, CHAIN[1], "worker").attempt == claim.attempt + 1


def test_a_failed_rendering_is_not_shared_with_later_requests(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "Nobody could.")
    assert ledger.job(job_id).error.code == "synthesis_failed"
    assert submit(ledger, KEYS[0])[1].how == "new"


def test_a_job_of_a_hit_has_succeeded_and_keeps_the_audio(ledger, redis):
    job_id = keep(ledger, KEYS[0])
    job = ledger.job(job_id)
    assert (job.how, job.status, job.result) == ("hit", Status.SUCCEEDED, result(KEYS[0]))
    assert job.created_ms == job.started_ms == job.finished_ms
    assert ledger.audio(job.rendering_id) == b"abc"
    assert ledger.leave(job_id) == "ended"
    assert redis.zcard("voice:due") == 0, "there is nothing to be done for it"


def test_jobs_of_equal_hits_share_one_copy_and_each_has_its_own_times(ledger, redis):
    first = ledger.job(keep(ledger, KEYS[0]))
    redis.pexpire(f"voice:rendering:{first.rendering_id}", 1000)
    redis.pexpire(f"voice:result:{first.rendering_id}", 1000)
    ledger.frozen_ms += 5000
    second = ledger.job(keep(ledger, KEYS[0]))
    assert second.rendering_id == first.rendering_id
    assert second.finished_ms == first.finished_ms + 5000
    assert ledger.job(first.id).finished_ms == first.finished_ms
    assert redis.pttl(f"voice:rendering:{first.rendering_id}") > JOB_TTL_MS - 5000
    assert redis.pttl(f"voice:result:{first.rendering_id}") > JOB_TTL_MS - 5000


def named(ledger, key, body="body", **more):
    return submit(ledger, key, idempotency=Idempotency("name", body), **more)


def test_an_idempotency_key_stands_for_one_job_whatever_has_become_of_it(ledger):
    first_job, first = named(ledger, KEYS[0])
    assert named(ledger, KEYS[1]) == (first_job, replace(first, how="repeated"))
    succeed(ledger, first.rendering_id)
    assert named(ledger, KEYS[0])[0] == first_job
    assert keep(ledger, KEYS[0], idempotency=Idempotency("name", "body")) == first_job
    assert ledger.repeated("owner", Idempotency("name", "body")).status is Status.SUCCEEDED


def test_an_idempotency_key_stands_for_one_request(ledger):
    named(ledger, KEYS[0])
    with pytest.raises(IdempotencyMismatch):
        named(ledger, KEYS[0], "other body")
    with pytest.raises(IdempotencyMismatch):
        keep(ledger, KEYS[0], idempotency=Idempotency("name", "other body"))
    with pytest.raises(IdempotencyMismatch):
        ledger.repeated("owner", Idempotency("name", "other body"))


def test_an_idempotency_key_is_its_callers_own_and_lasts_a_day(ledger, redis):
    job_id, _ = named(ledger, KEYS[0], owner="ann")
    assert ledger.repeated("bob", Idempotency("name", "body")) is None
    assert named(ledger, KEYS[0], "other body", owner="bob")[0] != job_id
    assert DAY_MS - 5000 < redis.pttl("voice:idempotency:ann:name") <= DAY_MS


def test_an_idempotency_key_outlives_its_job_and_then_stands_for_a_new_one(ledger, redis):
    job_id, submitted = named(ledger, KEYS[0])
    succeed(ledger, submitted.rendering_id)
    redis.delete(f"voice:rendering:{submitted.rendering_id}", f"voice:live:{KEYS[0]}")  # as after its time
    assert ledger.repeated("owner", Idempotency("name", "body")) is None
    with pytest.raises(IdempotencyMismatch):
        named(ledger, KEYS[0], "other body")
    new_job, new = named(ledger, KEYS[0])
    assert (new_job != job_id, new.how) == (True, "new")
    assert ledger.repeated("owner", Idempotency("name", "body")).id == new_job


def test_a_refused_request_leaves_its_idempotency_key_free(redis):
    ledger = make_ledger(redis, max_backlog=1)
    submit(ledger, KEYS[0])
    with pytest.raises(QueueFull):
        named(ledger, KEYS[1])
    assert redis.keys("voice:idempotency:*") == []


def test_equal_requests_at_once_with_one_idempotency_key_make_one_job(ledger, redis):
    start = threading.Barrier(8)

    def ask(_):
        start.wait()
        return named(ledger, KEYS[0])

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sorted(submitted.how for _, submitted in answers) == ["new", *["repeated"] * 7]
    assert redis.zcard("voice:jobs") == 1


def test_cancelling_one_of_two_jobs_leaves_the_other_alone(ledger):
    leaver, submitted = submit(ledger, KEYS[0])
    stayer, _ = submit(ledger, KEYS[0])
    assert ledger.leave(leaver) == "left"
    succeed(ledger, submitted.rendering_id)
    assert ledger.job(leaver).status is Status.CANCELLED
    assert ledger.job(stayer).status is Status.SUCCEEDED


def test_cancelling_the_last_job_takes_a_queued_rendering_away(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    ledger.leave(job_id)
    assert ledger.claim(submitted.rendering_id, CHAIN[0], "worker") is None
    assert ledger.leave(job_id) == "ended"


def test_cancelling_the_last_job_stops_a_running_rendering_unless_another_joins(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.leave(job_id)
    assert ledger.renew(claim) == "abandoned"
    joiner, joined = submit(ledger, KEYS[0])
    assert joined.how == "joined"
    assert ledger.abandon(claim) == "queued"
    succeed(ledger, submitted.rendering_id)
    assert ledger.job(joiner).status is Status.SUCCEEDED


def test_a_job_past_its_deadline_fails_without_a_worker(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS
    assert ledger.job(job_id).error.code == "deadline_exceeded", "told before the sweep has come"
    assert ledger.sweep() == ([], [])
    assert ledger.job(job_id).error.code == "deadline_exceeded"
    assert ledger.claim(submitted.rendering_id, CHAIN[0], "worker") is None


def test_a_job_past_its_deadline_has_ended_and_cannot_be_cancelled(ledger):
    early, _ = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS // 2
    late, _ = submit(ledger, KEYS[0])
    assert ledger.job(early).left_ms == DEADLINE_MS // 2
    ledger.frozen_ms += DEADLINE_MS // 2
    assert ledger.leave(early) == "ended"
    assert ledger.job(early).error.code == "deadline_exceeded"
    assert ledger.leave(late) == "left"


def test_a_synthesis_past_the_deadline_of_its_last_job_is_abandoned(ledger):
    _, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.frozen_ms += DEADLINE_MS // 2
    late, _ = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS // 2
    assert ledger.renew(claim) == "kept", "the late job has time left"
    ledger.frozen_ms += DEADLINE_MS // 2
    assert ledger.renew(claim) == "abandoned"
    ledger.abandon(claim)
    assert ledger.claim(submitted.rendering_id, CHAIN[0], "worker") is None
    assert ledger.job(late).error.code == "deadline_exceeded"


def test_a_joiner_has_a_deadline_of_its_own(ledger):
    early, submitted = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS // 2
    late, _ = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS // 2
    succeed(ledger, submitted.rendering_id)
    assert ledger.job(early).status is Status.FAILED
    assert ledger.job(late).status is Status.SUCCEEDED


def test_a_doorbell_that_nobody_answers_is_rung_again(ledger):
    submit(ledger, KEYS[0])
    assert ledger.sweep() == ([], [])
    ledger.frozen_ms += RING_AGAIN_MS
    assert len(ledger.sweep()[0]) == 1


def test_what_has_ended_is_kept_for_a_while_only(ledger, redis):
    job_id, submitted = submit(ledger, KEYS[0])
    succeed(ledger, submitted.rendering_id)
    assert 0 < redis.pttl(f"voice:live:{KEYS[0]}") <= KEEP_LIVE_MS
    assert 0 < redis.pttl(f"voice:rendering:{submitted.rendering_id}") <= 3_600_000
    assert 0 < redis.pttl(f"voice:result:{submitted.rendering_id}") <= 3_600_000
    assert redis.pttl(f"voice:job:{job_id}") > 0


def test_who_waits_is_woken_by_the_end(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    before = ledger.job(job_id)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ledger.await_end, before, 30)
        until(lambda: ledger.redis.info("clients")["blocked_clients"] == 1, "it waits", 10)
        succeed(ledger, submitted.rendering_id)
        after = waiting.result(3)
    assert (after.status, after.audio) == (Status.SUCCEEDED, b"abc")


def test_an_end_between_reading_and_waiting_is_not_missed(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    before = ledger.job(job_id)
    succeed(ledger, submitted.rendering_id)
    begun = time.monotonic()
    assert ledger.await_end(before, 30).status is Status.SUCCEEDED
    assert time.monotonic() - begun < 3


def test_who_waits_is_woken_by_the_cancelling_of_his_job_alone(ledger):
    leaver, _ = submit(ledger, KEYS[0])
    stayer, _ = submit(ledger, KEYS[0])
    leaving, staying = ledger.job(leaver), ledger.job(stayer)
    ledger.leave(leaver)
    assert ledger.await_end(leaving, 30).status is Status.CANCELLED
    begun = time.monotonic()
    assert ledger.await_end(staying, 0.5).status is Status.QUEUED
    assert time.monotonic() - begun >= 0.5


def test_who_waits_waits_no_longer_than_until_the_deadline(ledger):
    job_id, _ = submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS - 100
    late = ledger.job(job_id)
    assert late.left_ms == 100
    begun = time.monotonic()
    assert ledger.await_end(late, 30).status is Status.QUEUED, "the clock of the ledger stands still"
    assert 0.1 <= time.monotonic() - begun < 3


def test_what_told_of_an_end_is_not_kept_for_long(ledger, redis):
    job_id, submitted = submit(ledger, KEYS[0])
    submit(ledger, KEYS[0])
    ledger.leave(job_id)
    succeed(ledger, submitted.rendering_id)
    ends = redis.keys("voice:end:*")
    assert len(ends) == 2
    assert all(5_000 < redis.pttl(end) <= 10_000 for end in ends)


def test_who_watches_is_told_of_claims_attempts_and_those_who_leave(ledger, every_redis):
    leaver, submitted = submit(ledger, KEYS[0])
    submit(ledger, KEYS[0])
    reader = TransitionReader(every_redis.url(1))
    with reader.watching(submitted.rendering_id) as moved:

        def is_told(step):
            moved.clear()
            outcome = step()
            assert moved.wait(10)
            return outcome

        claim = is_told(lambda: ledger.claim(submitted.rendering_id, CHAIN[0], "worker"))
        is_told(lambda: ledger.pass_on(claim.rendering_id, claim.attempt, CHAIN[1]))
        is_told(lambda: ledger.claim(submitted.rendering_id, CHAIN[1], "worker"))
        ledger.frozen_ms += LEASE_MS
        is_told(ledger.sweep)
        is_told(lambda: ledger.leave(leaver))
    reader.close()


def test_who_waits_survives_a_restart_of_redis(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        ledger = make_ledger(worker_client(server.url(1)))
        job_id, submitted = submit(ledger, KEYS[0])
        reader = TransitionReader(server.url(1))
        with reader.watching(submitted.rendering_id) as finished:
            server.client(1).config_set("appendfsync", "always")
            ledger.redis.set("written", 1)
            server.kill()
            server.start()
            succeed(ledger, submitted.rendering_id)
            assert finished.wait(10)
        reader.close()
        assert ledger.job(job_id).status is Status.SUCCEEDED


def test_a_ledger_out_of_reach_says_so(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        ledger = make_ledger(server.client(1))
        server.kill()
        with pytest.raises(StateUnavailable):
            submit(ledger, KEYS[0])
        server.start()
