"""Jobs over HTTP, with a test in the place of the workers."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

import web.jobs
from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.keys import ApiKeys
from shared.ledger import Attempt, Ledger, Result
from shared.models import Audio, AudioFormat
from shared.presence import Worker
from shared.scopes import Scope
from shared.settings import Settings
from tests.farm import until
from web import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

SYNTHESIZE, JOBS = "/api/voice/synthesize", "/api/voice/jobs"
SHANTE = "00000000-0000-0000-0001-000000000002"
ADMIN_KEY = f"vf_{secrets.token_urlsafe(32)}"
WORKER = Worker(name="test", provider="espeak", slots=1, device="cpu", pid=1)
SOUND = Audio(b"RIFF of a sound", AudioFormat.WAV, "espeak", 1200, 22050, degraded=False)


@pytest.fixture
def farm(redis_server, tmp_path) -> Iterator[Farm]:
    """A farm with room for two who wait, and for three jobs in a queue."""
    settings = Settings.load(
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=str(redis_server.port),
        VOICEFARM_STATE_DIR=str(tmp_path),
        VOICEFARM_ADMIN_KEY=ADMIN_KEY,
        VOICEFARM_MAX_WAITERS="2",
        VOICEFARM_MAX_BACKLOG="3",
    )
    migrate(settings)
    farm = Farm.from_settings(settings)
    farm.presence.beat(WORKER)
    yield farm
    farm.jobs.transitions.close()
    farm.database.close()


@pytest.fixture
def app(farm):
    return create_app(farm=farm)


@pytest.fixture
def http(app) -> FlaskClient:
    """A client with the admin's key."""
    return client_with(app, ADMIN_KEY)


@pytest.fixture
def speaker(app, farm) -> FlaskClient:
    """A client with a key that may only speak."""
    _, secret = ApiKeys(farm.database, farm.personalities._changes).create(Scope.SPEAK, "speaker")
    return client_with(app, secret)


def client_with(app, secret) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def ask(client, text="Hello.", *, at=JOBS, key=None, **fields):
    headers = {"Idempotency-Key": key} if key is not None else {}
    return client.post(at, json={"text": text, **fields}, headers=headers)


class Pool:
    """Does what a worker does, when the test wants it."""

    def __init__(self, farm) -> None:
        self.farm, self.ledger = farm, farm.ledger

    def claim(self, job):
        return self.ledger.claim(self.ledger.job(job["id"]).rendering_id, "espeak", "test")

    def succeed(self, job, claim=None) -> None:
        claim = claim or self.claim(job)
        self.farm.cache.store(claim.cache_key, claim.utterance, SOUND)
        assert self.ledger.succeed(claim, Result.of(claim.cache_key, SOUND, cached=False), SOUND.data)

    def fail(self, job, claim=None) -> None:
        claim = claim or self.claim(job)
        attempt = Attempt("espeak", "engine_failed", "It broke.", 5)
        self.ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", "Nobody could.", [attempt])


@pytest.fixture
def pool(farm) -> Pool:
    return Pool(farm)


def is_refused(answer, status, code, field=None):
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert field is None or [error["field"] for error in answer.json["errors"]] == [field]
    return True


# Asking for a job


def test_a_miss_is_accepted(http):
    answer = ask(http)
    assert answer.status_code == 202
    assert answer.location == f"{JOBS}/{answer.json['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert (answer.json["status"], answer.json["cache_status"]) == ("queued", "MISS")


def test_a_hit_is_a_job_that_has_succeeded_and_keeps_its_audio(http, farm, pool):
    pool.succeed(ask(http).json)
    farm.presence.leave(WORKER)
    answer = ask(http)
    job = answer.json
    assert (answer.status_code, answer.location) == (200, f"{JOBS}/{job['id']}")
    assert "Retry-After" not in answer.headers
    assert (job["status"], job["cache_status"], job["provider"]) == ("succeeded", "HIT", "espeak")
    assert job["audio"]["duration_ms"] == SOUND.duration_ms
    assert job["created_at"] == job["started_at"] == job["finished_at"]
    assert http.get(job["audio"]["url"]).data == SOUND.data
    farm.cache.clear()
    assert http.get(f"{answer.location}/audio").data == SOUND.data
    assert http.get(answer.location).json == job
    assert http.get(JOBS).json["items"][0] == job
    assert is_refused(http.delete(answer.location), 409, "conflict")


def test_a_hit_counts_as_one(http, farm, pool):
    pool.succeed(ask(http).json)
    ask(http)
    ask(http, at=SYNTHESIZE)
    stats = farm.cache.stats()
    assert (stats.hits, stats.misses, stats.coalesced) == (2, 1, 0)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"text": ""}, 422, "invalid_request"),
        ({"text": "Hi", "speed": 9}, 422, "invalid_request"),
        ({"text": "<speak>Hi</speak>"}, 422, "ssml_not_supported"),
        ({"text": "Hi", "language": "xx"}, 422, "language_not_supported"),
        ({"text": "Hi", "fallback": "same_voice"}, 422, "no_voice_sample"),
        ({"text": "Hi", "provider": "google_tts"}, 503, "no_provider"),
        ({"text": "Hi", "personality_id": str(uuid.UUID(int=0))}, 404, "not_found"),
    ],
)
def test_jobs_are_refused_as_syntheses_are_and_leave_nothing_behind(http, redis_server, fields, status, code):
    for at in (JOBS, SYNTHESIZE):
        assert is_refused(ask(http, at=at, key="a", **fields), status, code)
    assert redis_server.client(1).keys("voice:job*") == []
    assert redis_server.client(1).keys("voice:idempotency:*") == []
    assert ask(http, at=JOBS, key="a").status_code == 202, "the key is free"


def test_a_full_queue_refuses_jobs(http):
    for n in range(3):
        ask(http, f"Number {n}.")
    answer = ask(http, "One too many.", key="a")
    assert is_refused(answer, 503, "queue_full")
    assert int(answer.headers["Retry-After"]) >= 1


# Idempotency keys


def test_a_request_that_is_repeated_has_one_job_as_it_is_now(http, farm, pool):
    first = ask(http, key="order-66")
    assert ask(http, key="order-66").json == first.json
    pool.succeed(first.json)
    farm.presence.leave(WORKER)
    again = ask(http, key="order-66")
    assert (again.status_code, again.location) == (200, first.location)
    assert (again.json["status"], again.json["cache_status"]) == ("succeeded", "MISS")
    assert len(http.get(JOBS).json["items"]) == 1
    stats = farm.cache.stats()
    assert stats.total_requests == 1, "who repeats himself is counted once"


def test_a_key_stands_for_the_same_request_at_both_addresses(http, pool):
    job = ask(http, at=SYNTHESIZE, key="a").json
    assert ask(http, key="a").json["id"] == job["id"]
    pool.succeed(job)
    answer = ask(http, at=SYNTHESIZE, key="a")
    assert (answer.status_code, answer.data) == (200, SOUND.data)
    assert answer.headers["X-Cache-Status"] == "MISS", "what the cache held when the job was asked for"


def test_a_repeated_synthesis_ends_as_its_job_did(http, pool):
    pool.fail(ask(http, at=SYNTHESIZE, key="a").json)
    answer = ask(http, at=SYNTHESIZE, key="a")
    assert is_refused(answer, 502, "synthesis_failed")
    assert answer.json["attempts"][0]["code"] == "engine_failed"
    job = ask(http, "Other.", at=SYNTHESIZE, key="b")
    http.delete(job.location)
    assert is_refused(ask(http, "Other.", at=SYNTHESIZE, key="b"), 409, "conflict")


def test_a_hit_under_a_key_has_a_job_and_outlives_the_cache(http, farm, pool):
    pool.succeed(ask(http).json)
    first = ask(http, at=SYNTHESIZE, key="a")
    assert (first.status_code, first.headers["X-Cache-Status"]) == (200, "HIT")
    farm.cache.clear()
    again = ask(http, at=SYNTHESIZE, key="a")
    assert (again.status_code, again.data) == (200, SOUND.data)
    assert ask(http, key="a").json["cache_status"] == "HIT"


def test_another_body_under_the_same_key_is_refused(http):
    ask(http, key="a")
    for at in (JOBS, SYNTHESIZE):
        assert is_refused(ask(http, "Other.", at=at, key="a"), 422, "idempotency_mismatch")
        assert is_refused(ask(http, speed=2, at=at, key="a"), 422, "idempotency_mismatch")
    assert ask(http, speed=1, key="a").status_code == 202, "what is left out is the same as its default"
    assert len(http.get(JOBS).json["items"]) == 1


def test_keys_of_two_callers_have_nothing_to_do_with_each_other(http, speaker):
    assert ask(http, key="a").json["id"] != ask(speaker, "Other.", key="a").json["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "two words", "käse".encode().decode("latin-1"), "a\tb"])
def test_a_key_that_cannot_be_used_is_refused(http, key):
    for at in (JOBS, SYNTHESIZE):
        assert is_refused(ask(http, at=at, key=key), 422, "invalid_request", "Idempotency-Key")


def test_requests_at_once_with_one_key_have_one_job(app, http):
    start = threading.Barrier(8)

    def ask_at_once(n):
        client = client_with(app, ADMIN_KEY)
        start.wait()
        return ask(client, at=(JOBS, SYNTHESIZE)[n % 2], key="a")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask_at_once, range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(http.get(JOBS).json["items"]) == 1


# Lists


def listed(client, **query):
    ids, cursor = [], None
    while True:
        page = client.get(JOBS, query_string=query | ({"cursor": cursor} if cursor else {})).json
        ids += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids


def test_a_caller_sees_its_own_jobs_and_an_admin_everyones(http, speaker):
    theirs = [ask(speaker).json["id"] for _ in range(2)]
    admins = ask(http, "Another.").json["id"]
    assert listed(speaker, limit=1) == theirs[::-1]
    assert listed(http, limit=2) == [admins, *theirs[::-1]]


def test_lists_show_what_each_job_shows(http):
    job = ask(http).json
    ask(http, "Second.")
    newest, oldest = http.get(JOBS).json["items"]
    assert oldest == job
    assert [item["queue"]["position"] for item in (oldest, newest)] == [1, 2]
    assert newest["queue"]["eta_seconds"] > oldest["queue"]["eta_seconds"] > 0


def test_a_list_can_be_of_one_state_or_personality(http, pool):
    done, left = ask(http).json, ask(http, "Second.", personality_id=SHANTE).json
    pool.succeed(done)
    assert listed(http, status="succeeded") == [done["id"]]
    assert listed(http, status="queued", limit=1) == [left["id"]]
    assert listed(http, personality_id=SHANTE.upper()) == [left["id"]]
    assert listed(http, personality_id=SHANTE, status="succeeded") == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", "done"), ("status", ""), ("status", "QUEUED"),
        ("personality_id", "marcel"), ("personality_id", ""),
        ("limit", "0"), ("limit", "201"), ("limit", "x"), ("limit", ""),
        ("cursor", "?"), ("cursor", "-1"), ("cursor", "f" * 15), ("cursor", "1.5"),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_given_is_refused(http, field, value):
    assert is_refused(http.get(JOBS, query_string={field: value}), 422, "invalid_request", field)


# Cancelling


def test_a_queued_job_that_is_cancelled_does_not_run(http, pool):
    asked = ask(http)
    answer = http.delete(asked.location)
    assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
    assert answer.json["finished_at"]
    assert answer.json["queue"] is None
    assert pool.claim(asked.json) is None
    assert http.get(asked.location).json == answer.json
    assert is_refused(http.get(f"{asked.location}/audio"), 409, "conflict")
    assert is_refused(http.delete(asked.location), 409, "conflict")


def test_a_running_job_that_is_cancelled_stops(http, farm, pool):
    asked = ask(http)
    claim = pool.claim(asked.json)
    assert http.delete(asked.location).json["status"] == "cancelled"
    assert farm.ledger.renew(claim) == "abandoned"


def test_a_synthesis_that_others_share_goes_on(http, speaker, pool):
    mine, theirs = ask(http), ask(speaker)
    assert theirs.json["cache_status"] == "COALESCED"
    http.delete(mine.location)
    pool.succeed(theirs.json)
    assert http.get(mine.location).json["status"] == "cancelled"
    assert speaker.get(theirs.location).json["status"] == "succeeded"


def test_what_has_ended_cannot_be_cancelled(http, pool):
    for end in (pool.succeed, pool.fail):
        asked = ask(http, f"{end.__name__}.")
        end(asked.json)
        before = http.get(asked.location).json
        assert is_refused(http.delete(asked.location), 409, "conflict")
        assert http.get(asked.location).json == before


def test_anothers_job_cannot_be_cancelled_nor_followed_but_an_admin_may(http, speaker):
    asked = ask(http)
    assert is_refused(speaker.delete(asked.location), 404, "not_found")
    assert is_refused(speaker.get(f"{asked.location}/events"), 404, "not_found")
    assert http.get(asked.location).json["status"] == "queued"
    assert http.delete(ask(speaker).location).json["status"] == "cancelled"


@pytest.mark.parametrize("job_id", ["1", str(uuid.UUID(int=0))])
def test_a_job_that_is_not_there_is_not_found(http, job_id):
    for answer in (http.delete(f"{JOBS}/{job_id}"), http.get(f"{JOBS}/{job_id}/events")):
        assert is_refused(answer, 404, "not_found")


def test_who_waits_for_a_job_that_is_cancelled_is_told_at_once(app, http, farm):
    with ThreadPoolExecutor(1) as threads:
        headers = {"Prefer": "wait=60"}
        waiting = threads.submit(
            client_with(app, ADMIN_KEY).post, SYNTHESIZE, json={"text": "Hello."}, headers=headers
        )
        until(lambda: http.get(JOBS).json["items"], "somebody waits")
        [job] = http.get(JOBS).json["items"]
        http.delete(f"{JOBS}/{job['id']}")
        assert is_refused(waiting.result(timeout=10), 409, "conflict")
    assert farm.jobs.waiters.acquire(blocking=False)


# Events


@contextmanager
def following(client, location, **headers):
    """Give the events of a job as they come, each (type, id, data); None for a comment."""
    answer = client.get(f"{location}/events", headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.headers["Cache-Control"] == "no-store"
    try:
        yield map(parse_event, answer.response)
    finally:
        answer.close()


def parse_event(block):
    text = block.decode()
    assert text.endswith("\n\n")
    if text.startswith(":"):
        return None
    fields = dict(line.split(": ", 1) for line in text.splitlines() if line)
    return fields["event"], fields["id"], json.loads(fields["data"])


def test_each_state_is_told_when_it_begins(http, pool):
    asked = ask(http)
    with following(http, asked.location) as events:
        assert next(events) == ("job", "0-queued-espeak", asked.json)
        claim = pool.claim(asked.json)
        assert next(events)[2]["status"] == "running"
        pool.succeed(asked.json, claim)
        assert next(events)[2] == http.get(asked.location).json
        assert list(events) == []
    assert http.get(asked.location).json["status"] == "succeeded"


def test_attempts_are_told(http, farm, pool):
    asked = ask(http)
    with following(http, asked.location) as events:
        next(events)
        claim = pool.claim(asked.json)
        next(events)
        record = Attempt("espeak", "engine_failed", "It broke.", 5)
        farm.ledger.pass_on(claim.rendering_id, claim.attempt, "espeak", [record])
        _, name, job = next(events)
        assert (name, job["status"], len(job["attempts"])) == ("1-queued-espeak", "queued", 1)


def test_a_job_that_has_ended_is_told_once(http, pool):
    asked = ask(http)
    pool.succeed(asked.json)
    with following(http, asked.location) as events:
        [(_, name, job)] = events
    assert job["status"] == "succeeded"
    answer = http.get(f"{asked.location}/events", headers={"Last-Event-ID": name})
    assert (answer.status_code, answer.data) == (204, b""), "so that a browser does not ask for ever"


def test_who_comes_back_is_told_what_is_new(http, pool):
    asked = ask(http)
    with following(http, asked.location, Last_Event_ID="0-queued-espeak") as events:
        assert next(events) is None, "this state is known"
        pool.succeed(asked.json)
        assert [job["status"] for _, _, job in filter(None, events)][-1] == "succeeded"
    with following(http, asked.location, Last_Event_ID="0-queued-espeak") as events:
        [(_, _, job)] = events
        assert job["status"] == "succeeded"
    with following(http, asked.location, Last_Event_ID="never heard of") as events:
        assert len(list(events)) == 1


def test_while_nothing_happens_there_is_a_comment(http, monkeypatch):
    assert web.jobs.KEEP_ALIVE_S == 15
    monkeypatch.setattr(web.jobs, "KEEP_ALIVE_S", 0.01)
    with following(http, ask(http).location) as events:
        assert next(events)
        assert list(islice(events, 3)) == [None, None, None]


def test_another_job_that_leaves_is_no_news(http, pool):
    stayer, leaver = ask(http), ask(http)
    with following(http, stayer.location) as events:
        next(events)
        http.delete(leaver.location)
        assert next(events) is None
        pool.succeed(stayer.json)
        assert next(events)[2]["status"] == "succeeded"


def test_a_cancelled_job_ends_its_events(http):
    asked = ask(http)
    with following(http, asked.location) as events:
        next(events)
        http.delete(asked.location)
        [(_, _, job)] = events
        assert job["status"] == "cancelled"


def test_those_who_follow_are_counted_among_those_who_wait(http, farm, pool):
    done, asked = ask(http, "Done."), ask(http)
    pool.succeed(done.json)
    with following(http, asked.location), following(http, asked.location):
        answer = http.get(f"{asked.location}/events")
        assert is_refused(answer, 503, "queue_full")
        assert int(answer.headers["Retry-After"]) >= 1
        waited = http.post(SYNTHESIZE, json={"text": "Hello."}, headers={"Prefer": "wait=60"})
        assert waited.status_code == 202
        with following(http, done.location) as events:
            assert len(list(events)) == 1, "there is nothing to wait for"
    with following(http, asked.location) as events:
        assert next(events)
    http.head(f"{asked.location}/events")
    assert [farm.jobs.waiters.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_events_end_with_a_job_that_is_no_longer_kept(http, farm, redis_server):
    asked, other = ask(http), ask(http)
    with following(http, asked.location) as events:
        next(events)
        redis_server.client(1).delete(f"voice:job:{asked.json['id']}")
        http.delete(other.location)
        assert list(events) == []
    assert [farm.jobs.waiters.acquire(blocking=False) for _ in range(2)] == [True, True]


# Deadlines


def test_a_deadline_is_told_when_it_comes_though_the_synthesis_goes_on_for_others(farm, pool):
    settings = farm.settings.model_copy(update={"job_deadline_seconds": 1})
    hasty = replace(farm, settings=settings, ledger=Ledger.from_settings(settings, farm.state))
    http = client_with(create_app(farm=hasty), ADMIN_KEY)
    patient = client_with(create_app(farm=farm), ADMIN_KEY)
    early = ask(http)
    claim = pool.claim(early.json)
    late = ask(patient)
    with following(http, early.location) as events:
        assert next(events)[2]["status"] == "running"
        [(_, _, job)] = events
        assert job["error"]["code"] == "deadline_exceeded"
    assert is_refused(http.delete(early.location), 409, "conflict")
    pool.succeed(late.json, claim)
    assert patient.get(late.location).json["status"] == "succeeded"
    assert http.get(early.location).json["status"] == "failed"


def test_a_request_that_is_on_its_way_while_its_rendering_ends_shares_it(http, farm, pool, monkeypatch):
    first = ask(http, "Hello.")
    submit = farm.ledger.submit

    def submit_late(*args, **kwargs):
        pool.succeed(first.json)
        farm.state.wait(1, 50)  # no replica answers, so it takes these 50 ms
        return submit(*args, **kwargs)

    monkeypatch.setattr(farm.ledger, "submit", submit_late)
    assert ask(http, "Hello.").json["cache_status"] == "COALESCED"
