"""Lists of jobs: whole, in order, cheap, and nothing left in their indexes."""

from __future__ import annotations

import pytest

from shared.ledger import Status
from tests.shared.ledger.machine import (
    CHAIN,
    DEADLINE_MS,
    JOB_TTL_MS,
    KEYS,
    keep,
    listed,
    make_ledger,
    submit,
)

SHANTE = "00000000-0000-0000-0001-000000000002"


@pytest.fixture
def redis(every_redis):
    client = every_redis.client(1)
    client.flushdb()
    return client


@pytest.fixture
def ledger(redis):
    return make_ledger(redis, max_backlog=10_000)


def test_jobs_are_listed_newest_first_though_the_clock_stands_still_or_goes_back(ledger):
    jobs = [submit(ledger, KEYS[n % 3])[0] for n in range(10)]
    ledger.frozen_ms -= 5000
    jobs += [submit(ledger, KEYS[n % 3])[0] for n in range(10)]
    for limit in (1, 7, 20, 200):
        assert listed(ledger, limit=limit) == jobs[::-1]


def test_pages_are_full_and_the_last_one_says_so(ledger):
    for _ in range(4):
        submit(ledger, KEYS[0])
    first, before = ledger.page(limit=2)
    second, end = ledger.page(limit=2, before=before)
    assert (len(first), len(second), end) == (2, 2, None)
    assert ledger.page(limit=2, owner="nobody") == ([], None)


def test_a_new_job_does_not_disturb_those_who_turn_pages(ledger):
    jobs = [submit(ledger, KEYS[0])[0] for _ in range(4)]
    first, before = ledger.page(limit=2)
    submit(ledger, KEYS[1])
    second, _ = ledger.page(limit=2, before=before)
    assert [job.id for job in [*first, *second]] == jobs[::-1]


def test_each_owner_has_a_list_and_there_is_one_of_all(ledger):
    anns = [submit(ledger, KEYS[0], owner="ann")[0], keep(ledger, KEYS[1], owner="ann")]
    bobs = [submit(ledger, KEYS[0], owner="bob")[0]]
    assert listed(ledger, owner="ann") == anns[::-1]
    assert listed(ledger, owner="bob") == bobs
    assert listed(ledger) == [*bobs, *anns[::-1]]


def test_a_list_can_be_of_one_state_or_personality(ledger):
    queued = submit(ledger, KEYS[0], personality_id=SHANTE)[0]
    running, submitted = submit(ledger, KEYS[1])
    ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    cancelled = submit(ledger, KEYS[2], personality_id=SHANTE)[0]
    ledger.leave(cancelled)
    succeeded = keep(ledger, KEYS[2])
    one_of_each = {"queued": queued, "running": running, "cancelled": cancelled, "succeeded": succeeded}
    for status in Status:
        wanted = [one_of_each[status]] if status in one_of_each else []
        assert listed(ledger, status=status) == wanted
    assert listed(ledger, personality_id=SHANTE) == [cancelled, queued]
    assert listed(ledger, personality_id=SHANTE, status=Status.QUEUED) == [queued]


def test_jobs_of_one_rendering_change_their_state_in_all_lists_with_one_write(ledger):
    jobs = [submit(ledger, KEYS[0], owner=f"owner {n}")[0] for n in range(30)]
    rendering = ledger.job(jobs[0]).rendering_id
    ledger.claim(rendering, CHAIN[0], "worker")
    assert listed(ledger, status=Status.RUNNING) == jobs[::-1]
    assert listed(ledger, status=Status.QUEUED) == []


def test_a_filtered_page_is_bounded_and_the_next_one_goes_on(ledger, redis):
    rare = [submit(ledger, KEYS[0], personality_id=SHANTE)[0] for _ in range(2)]
    for _ in range(1200):
        submit(ledger, KEYS[0])
    commands = redis.info("stats")["total_commands_processed"]
    page, before = ledger.page(limit=50, personality_id=SHANTE)
    assert (page, before is None) == ([], False)
    looked_at = redis.info("stats")["total_commands_processed"] - commands
    assert looked_at < 1100 * 4, "a thousand jobs, each with four commands"
    page, before = ledger.page(limit=50, personality_id=SHANTE, before=before)
    assert ([job.id for job in page], before) == (rare[::-1], None)


def test_what_has_expired_is_struck_when_it_is_found(ledger, redis):
    jobs = [submit(ledger, KEYS[0])[0] for _ in range(5)]
    redis.delete(*(f"voice:job:{job}" for job in jobs[1:4]))
    assert listed(ledger, limit=2) == [jobs[4], jobs[0]]
    assert redis.zcard("voice:jobs") == 2
    assert redis.zcard("voice:jobs:owner") == 5, "an index is mended by those who read it"


def test_an_index_holds_nothing_that_must_have_expired_though_nobody_reads_it(ledger, redis):
    for _ in range(250):
        submit(ledger, KEYS[0])
    ledger.frozen_ms += DEADLINE_MS + JOB_TTL_MS + 1
    counts = []
    for _ in range(3):
        submit(ledger, KEYS[1])
        counts.append((redis.zcard("voice:jobs"), redis.zcard("voice:jobs:owner")))
    assert counts == [(151, 151), (52, 52), (3, 3)], "each new job strikes a hundred at most"
    for index in ("voice:jobs", "voice:jobs:owner"):
        assert 0 < redis.pttl(index) <= DEADLINE_MS + JOB_TTL_MS, "without a new job it goes as a whole"
