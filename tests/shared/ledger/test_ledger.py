"""What each operation of the ledger does, on every supported Redis."""

from __future__ import annotations

import threading

import pytest

from shared.errors import QueueFull, StateUnavailable
from shared.ledger import Attempt, Status, TransitionReader
from shared.ledger.store import KEEP_LIVE_MS, LOSSES_PER_PROVIDER, RING_AGAIN_MS
from shared.ledger.sweep import next_provider
from tests.servers import running_redis
from tests.shared.ledger.machine import CHAIN, DEADLINE_MS, KEYS, LEASE_MS, make_ledger, result, submit


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
    stored, _ = ledger.store_result(rendering_id, result(claim.cache_key), b"abc")
    assert ledger.succeed(claim, stored)


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
    [waiting] = ledger.sweep()
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
    assert ledger.sweep() == []


def test_a_zombie_is_fenced(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    zombie = ledger.claim(submitted.rendering_id, CHAIN[0], "zombie")
    ledger.frozen_ms += 2 * LEASE_MS
    ledger.sweep()
    heir = ledger.claim(submitted.rendering_id, CHAIN[0], "heir")
    assert ledger.renew(zombie) == "fenced"
    assert not ledger.succeed(zombie, result(KEYS[0]))
    assert ledger.job(job_id).status is Status.RUNNING
    assert ledger.succeed(heir, result(KEYS[0]))


def test_audio_is_stored_once_and_the_first_store_wins(ledger):
    _, submitted = submit(ledger, KEYS[0])
    first = ledger.store_result(submitted.rendering_id, result(KEYS[0], "first"), b"first\naudio")
    second = ledger.store_result(submitted.rendering_id, result(KEYS[0], "second"), b"other")
    assert first == second == (result(KEYS[0], "first"), b"first\naudio")
    assert ledger.result(submitted.rendering_id) == first


def test_a_retry_moves_the_rendering_to_the_next_queue(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    record = Attempt(CHAIN[0], "engine_failed", 'It said: "no".', 12)
    assert ledger.pass_on(claim.rendering_id, claim.attempt, CHAIN[1], record) == "queued"
    job = ledger.job(job_id)
    assert (job.queue, job.attempts) == (CHAIN[1], (record,))
    assert ledger.claim(submitted.rendering_id, CHAIN[1], "worker").attempt == claim.attempt + 1


def test_a_failed_rendering_is_not_shared_with_later_requests(ledger):
    job_id, submitted = submit(ledger, KEYS[0])
    claim = ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "Nobody could.")
    assert ledger.job(job_id).error.code == "synthesis_failed"
    assert submit(ledger, KEYS[0])[1].how == "new"


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
    assert ledger.sweep() == []
    assert ledger.job(job_id).error.code == "deadline_exceeded"
    assert ledger.claim(submitted.rendering_id, CHAIN[0], "worker") is None


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
    assert ledger.sweep() == []
    ledger.frozen_ms += RING_AGAIN_MS
    assert len(ledger.sweep()) == 1


def test_what_has_ended_is_kept_for_a_while_only(ledger, redis):
    job_id, submitted = submit(ledger, KEYS[0])
    succeed(ledger, submitted.rendering_id)
    assert 0 < redis.pttl(f"voice:live:{KEYS[0]}") <= KEEP_LIVE_MS
    assert 0 < redis.pttl(f"voice:rendering:{submitted.rendering_id}") <= 3_600_000
    assert 0 < redis.pttl(f"voice:result:{submitted.rendering_id}") <= 3_600_000
    assert redis.pttl(f"voice:job:{job_id}") > 0


def test_who_waits_is_woken_by_the_end(ledger, every_redis):
    job_id, submitted = submit(ledger, KEYS[0])
    reader = TransitionReader(every_redis.url(1))
    with reader.watching(submitted.rendering_id) as finished:
        assert not ledger.job(job_id).status.has_ended
        threading.Thread(target=succeed, args=(ledger, submitted.rendering_id)).start()
        assert finished.wait(10)
    reader.close()
    assert ledger.job(job_id).status is Status.SUCCEEDED


def test_who_waits_survives_a_restart_of_redis(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        ledger = make_ledger(server.client(1))
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


def attempt(provider, code):
    return Attempt(provider, code, "", 1)


def test_the_next_provider_is_the_first_that_lives_and_has_not_failed():
    chain = ("a", "b", "c")
    assert next_provider(chain, [], {"a", "b", "c"}) == "a"
    assert next_provider(chain, [], {"c"}) == "c"
    assert next_provider(chain, [attempt("a", "engine_failed")], {"a", "b"}) == "b"
    assert next_provider(chain, [attempt("a", "engine_failed")], {"a"}) == "b", "it waits for a worker"
    assert next_provider(chain, [attempt("a", "worker_lost")], {"a", "b"}) == "a", "a crash is tried again"
    lost = [attempt("a", "worker_lost")] * LOSSES_PER_PROVIDER
    assert next_provider(chain, lost, {"a", "b"}) == "b"
    assert next_provider(chain, [attempt(name, "engine_failed") for name in chain], {"a", "b", "c"}) is None
