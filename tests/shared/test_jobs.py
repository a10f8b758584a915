"""Who waits for a job."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.connections import front_client, worker_client
from shared.errors import NotFound, StateUnavailable
from shared.jobs import Jobs
from shared.ledger import Status, TransitionReader, reading
from tests.farm import until
from tests.servers import running_redis
from tests.shared.ledger.machine import CHAIN, KEYS, make_ledger, result, submit


@pytest.fixture
def server(tmp_path, every_redis):
    with running_redis(every_redis.binary, tmp_path) as server:
        server.client(1).config_set("appendfsync", "always")
        yield server


@pytest.fixture
def jobs(server) -> Jobs:
    ledger = make_ledger(front_client(server.url(1)))
    return Jobs(ledger, TransitionReader(server.url(1)), max_waiters=2)


@pytest.fixture
def workers_ledger(server):
    return make_ledger(worker_client(server.url(1)))


def until_blocked(server, count):
    client = server.client(1)
    until(lambda: client.info("clients")["blocked_clients"] == count, f"{count} wait", 10)


def succeed(ledger, job):
    claim = ledger.claim(job.rendering_id, CHAIN[0], "worker")
    assert ledger.succeed(claim, result(claim.cache_key), b"abc")


def restart(server):
    server.kill()
    server.start()


def hang(server):
    """For longer than who waits blocks and has patience."""
    server.pause()
    time.sleep(1.5)
    server.resume()


@pytest.mark.parametrize("befalls", [restart, hang])
def test_who_waits_gets_the_audio_whatever_befalls_redis(server, jobs, workers_ledger, monkeypatch, befalls):
    monkeypatch.setattr(reading, "_BLOCK_S", 0.3)
    job = submit(workers_ledger, KEYS[0])[1].job
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(jobs.wait, job, 30)
        until_blocked(server, 1)
        befalls(server)
        succeed(workers_ledger, job)
        ended = waiting.result(10)
    assert (ended.status, ended.audio) == (Status.SUCCEEDED, b"abc")


def test_who_waits_is_told_in_time_of_a_redis_that_does_not_come_back(server, jobs, workers_ledger):
    job = submit(workers_ledger, KEYS[0])[1].job
    server.kill()
    begun = time.monotonic()
    with pytest.raises(StateUnavailable):
        jobs.wait(job, 1)
    assert time.monotonic() - begun < 3


def test_nobody_waits_for_longer_than_he_would(jobs, workers_ledger):
    job = submit(workers_ledger, KEYS[0])[1].job
    begun = time.monotonic()
    assert jobs.wait(job, 0.3).status is Status.QUEUED
    assert 0.3 <= time.monotonic() - begun < 3


def test_who_waits_for_a_job_that_is_no_longer_kept_is_told(server, jobs, workers_ledger):
    job = submit(workers_ledger, KEYS[0])[1].job
    server.client(1).flushdb()
    with pytest.raises(NotFound):
        jobs.wait(job, 0.3)


def test_those_who_wait_are_counted(server, jobs, workers_ledger):
    many = [submit(workers_ledger, key)[1].job for key in KEYS[:3]]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(jobs.wait, job, 30) for job in many[:2]]
        until_blocked(server, 2)
        assert jobs.wait(many[2], 30) is None
        for job in many[:2]:
            succeed(workers_ledger, job)
        assert [each.result(10).audio for each in waiting] == [b"abc"] * 2
    succeed(workers_ledger, many[2])
    assert jobs.wait(many[2], 30).audio == b"abc"
