"""Pre-warming through a running farm, as the contract has it."""

from __future__ import annotations

import uuid

import pytest

from shared.scopes import Scope
from tests.farm import until
from tests.integration.test_contract import MARCEL, SHANTE, SYNTHESIZE, TIME, UUID, fresh, is_problem, speak

PREWARM, BATCHES, SUGGESTIONS = "/api/voice/prewarm", "/api/voice/batches", "/api/voice/prewarm/suggestions"
ESPEAK = {"qualities": ["fast"]}


def begin(http, phrases, **fields):
    answer = http.post(PREWARM, json={"phrases": phrases, **fields})
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def ended(http, location):
    until(lambda: http.get(location).json()["finished_at"], f"{location} ends", timeout_s=20)
    return http.get(location).json()


def counters(http):
    return http.get("/api/voice/cache/stats").json()["cache"]


BAD_FIELDS = [
    ({}, ["phrases"]),
    ({"phrases": []}, ["phrases"]),
    ({"phrases": "Hi"}, ["phrases"]),
    ({"phrases": ["Hi", 5, None]}, ["phrases.1", "phrases.2"]),
    ({"phrases": ["Hi", "", "?!"]}, ["phrases.1", "phrases.2"]),
    ({"phrases": ["x" * 3001]}, ["phrases.0"]),
    ({"phrases": ["Hi"], "personality_ids": []}, ["personality_ids"]),
    ({"phrases": ["Hi"], "personality_ids": ["marcel"]}, ["personality_ids.0"]),
    ({"phrases": ["Hi"], "qualities": ["best"]}, ["qualities.0"]),
    ({"phrases": ["Hi"], "qualities": []}, ["qualities"]),
    ({"phrases": ["Hi"], "formats": ["wma"]}, ["formats.0"]),
    ({"phrases": ["Hi"], "language": "e"}, ["language"]),
    ({"phrases": ["Hi"], "dry_run": "yes"}, ["dry_run"]),
    ({"phrases": ["Hi"], "speed": 1.0}, ["speed"]),
    ({"phrases": ["Hi"], "top": 5}, ["phrases"]),
    ({"top": 0}, ["top"]),
    ({"top": True}, ["top"]),
    ({"top": 10_001}, ["top"]),
    ({"top": 5, "formats": ["mp3"]}, ["formats"]),
    ([], [""]),
]


@pytest.mark.parametrize(("body", "fields"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_that_cannot_be_used_is_named(http, body, fields):
    problem = is_problem(http.post(PREWARM, json=body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == fields


def test_a_batch_has_ten_thousand_combinations_at_most(http):
    body = {"phrases": [f"Number {n}." for n in range(2501)], "formats": ["wav", "mp3"]}
    body |= {"qualities": ["fast", "medium"], "dry_run": True}
    problem = is_problem(http.post(PREWARM, json=body), 422, "invalid_request")
    assert "10004" in problem["errors"][0]["message"]
    body["phrases"].pop()
    assert http.post(PREWARM, json=body).json()["total"] == 10_000


def test_a_batch_is_refused_as_a_request_is(http):
    ssml = {"phrases": ["Hi", "<speak>Hi</speak>"]}
    problem = is_problem(http.post(PREWARM, json=ssml), 422, "ssml_not_supported")
    assert [error["field"] for error in problem["errors"]] == ["phrases.1"]
    unknown = {"phrases": ["Hi"], "personality_ids": [str(uuid.uuid4())]}
    is_problem(http.post(PREWARM, json=unknown), 404, "not_found")
    is_problem(http.post(PREWARM, json={"phrases": ["Hi"], "language": "tlh"}), 422, "language_not_supported")
    is_problem(http.post(f"{PREWARM}?dry_run=1", json={"phrases": ["Hi"]}), 422, "invalid_request")


def test_what_a_batch_made_is_a_hit_and_the_statistics_tell_of_no_requests(http):
    phrases = [fresh(f"Warm {n}") for n in range(3)]
    speak(http, phrases[0], quality="fast")
    before = counters(http)
    answer = http.post(PREWARM, json={"phrases": phrases, "formats": ["wav", "mp3"], **ESPEAK})
    assert answer.status_code == 202
    batch = answer.json()
    assert batch.keys() == {
        "id", "status", "total", "already_cached", "counts", "failed", "eta_seconds",
        "created_at", "finished_at",
    }  # fmt: skip
    assert batch["counts"].keys() == {"queued", "running", "succeeded", "failed", "cancelled"}
    assert UUID.fullmatch(batch["id"])
    assert TIME.fullmatch(batch["created_at"])
    assert (batch["total"], batch["already_cached"], sum(batch["counts"].values())) == (6, 1, 6)
    assert answer.headers["Location"] == f"{BATCHES}/{batch['id']}"
    batch = ended(http, answer.headers["Location"])
    assert (batch["status"], batch["counts"]["succeeded"], batch["failed"]) == ("finished", 6, [])
    assert batch["eta_seconds"] is None
    after = counters(http)
    assert [after[name] - before[name] for name in ("hits", "misses", "coalesced", "sets")] == [0, 0, 0, 5]
    for phrase in phrases:
        for audio_format in ("wav", "mp3"):
            hit = speak(http, phrase, quality="fast", format=audio_format)
            assert hit.headers["X-Cache-Status"] == "HIT"


def test_a_batch_of_what_is_cached_has_ended_at_once(http):
    text = fresh()
    speak(http, text, quality="fast")
    batch = http.post(PREWARM, json={"phrases": [text, text], **ESPEAK}).json()
    assert (batch["status"], batch["total"], batch["already_cached"]) == ("finished", 1, 1)
    assert batch["finished_at"]


def test_its_jobs_are_in_nobodys_list(http):
    text = fresh()
    ended(http, begin(http, [text], personality_ids=[MARCEL, SHANTE], **ESPEAK))
    assert all(job["request"]["text"] != text for job in http.get("/api/voice/jobs").json()["items"])


def test_a_dry_run_tells_what_it_would_take_and_begins_nothing(http):
    text = fresh()
    before = http.get(BATCHES).json()["items"]
    answer = http.post(PREWARM, json={"phrases": [text], "dry_run": True, **ESPEAK})
    assert answer.status_code == 200
    estimate = answer.json()
    assert (estimate["total"], estimate["already_cached"], estimate["estimated_cost_usd"]) == (1, 0, 0)
    assert 0 < estimate["estimated_seconds"] < 60
    assert 10_000 < estimate["estimated_bytes"] < 1_000_000
    assert http.get(BATCHES).json()["items"] == before
    assert speak(http, text, quality="fast").headers["X-Cache-Status"] == "MISS"


@pytest.fixture
def mute(http):
    """The ID of a personality whose voice nobody has."""
    body = {"name": f"mute-{uuid.uuid4().hex[:6]}", "voice_config": {"voices": {"espeak": "nobody"}}}
    made = http.post("/api/voice/personalities", json=body)
    assert made.status_code == 201, made.text
    yield made.json()["id"]
    http.delete(made.headers["Location"])


def test_what_cannot_be_spoken_is_told_with_its_reason(http, mute):
    text = fresh()
    batch = ended(http, begin(http, [text], personality_ids=[mute, MARCEL], formats=["opus"], **ESPEAK))
    assert (batch["status"], batch["counts"]["succeeded"], batch["counts"]["failed"]) == ("finished", 1, 1)
    [failed] = batch["failed"]
    assert "espeak: " in failed.pop("detail")
    assert failed == {
        "phrase": text, "personality_id": mute, "quality": "fast", "format": "opus",
        "code": "synthesis_failed",
    }  # fmt: skip


def test_batches_are_listed_newest_first_page_by_page(http):
    made = [http.get(begin(http, [fresh()], **ESPEAK)).json()["id"] for _ in range(3)]
    first = http.get(BATCHES, params={"limit": 2}).json()
    assert [batch["id"] for batch in first["items"]] == made[:0:-1]
    second = http.get(BATCHES, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert second["items"][0]["id"] == made[0]
    is_problem(http.get(BATCHES, params={"status": "running"}), 422, "invalid_request")


def test_an_unknown_batch_is_not_found(http):
    for batch_id in (uuid.uuid4(), "1"):
        is_problem(http.get(f"{BATCHES}/{batch_id}"), 404, "not_found")
        is_problem(http.delete(f"{BATCHES}/{batch_id}"), 404, "not_found")


def test_a_batch_is_cancelled_once(http):
    location = begin(http, [fresh(f"Long {n} " + "and on " * 60) for n in range(60)], **ESPEAK)
    answer = http.delete(location)
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["counts"]["queued"]) == ("cancelled", 0)
    is_problem(http.delete(location), 409, "conflict")
    batch = ended(http, location)
    assert batch["status"] == "cancelled"
    assert batch["counts"]["cancelled"] > 0
    assert batch["counts"]["cancelled"] + batch["counts"]["succeeded"] == 60


def test_a_batch_that_has_ended_cannot_be_cancelled(http):
    location = begin(http, [fresh()], **ESPEAK)
    ended(http, location)
    is_problem(http.delete(location), 409, "conflict")


def test_who_asks_gets_audio_while_a_batch_goes_on(http):
    location = begin(http, [fresh(f"Long {n} " + "and on " * 60) for n in range(200)], **ESPEAK)
    answers = [speak(http, fresh(), quality="fast") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    counts = http.get(location).json()["counts"]
    assert counts["queued"] > 0, "they were not behind it"
    http.delete(location)
    ended(http, location)


def test_an_item_that_somebody_asks_for_is_not_waited_for(http):
    phrases = [fresh(f"Long {n} " + "and on " * 60) for n in range(200)]
    location = begin(http, phrases, **ESPEAK)
    until(lambda: http.get(location).json()["counts"]["running"], "it has begun")
    joined = [speak(http, phrase, quality="fast") for phrase in (phrases[30], phrases[199])]
    assert [answer.status_code for answer in joined] == [200, 200]
    assert http.get(location).json()["counts"]["queued"] > 0
    http.delete(location)
    ended(http, location)


def test_cancelling_a_batch_leaves_whoever_joined(http):
    phrases = [fresh(f"Long {n} " + "and on " * 60) for n in range(40)]
    location = begin(http, phrases, **ESPEAK)
    jobs = [http.post(SYNTHESIZE, json={"text": text, "quality": "fast"}) for text in phrases[20:24]]
    http.delete(location)
    for job in jobs:
        if job.status_code == 202:
            location_of_job = job.headers["Location"]
            until(lambda at=location_of_job: http.get(at).json()["status"] == "succeeded", "the job ends")
    ended(http, location)


def test_what_was_missed_is_suggested_and_made(http):
    text = fresh("Missed")
    for speed in (1.0, 1.25, 1.25):
        http.delete(f"/api/voice/personalities/{MARCEL}/cache")
        speak(http, text, quality="fast", speed=speed)

    def suggested():
        items = http.get(SUGGESTIONS, params={"limit": 200}).json()["items"]
        return [item for item in items if item["phrase"] == text]

    until(lambda: sum(item["count"] for item in suggested()) == 3, "all are told of")
    first, second = suggested()
    assert (first["speed"], first["count"], second["speed"], second["count"]) == (1.25, 2, 1.0, 1)
    assert first["score"] == pytest.approx(2, abs=0.1)
    assert first["quality"] == "fast"
    http.delete(f"/api/voice/personalities/{MARCEL}/cache")
    answer = http.post(PREWARM, json={"top": 200})
    assert answer.status_code == 202, answer.text
    ended(http, answer.headers["Location"])
    assert speak(http, text, quality="fast", speed=1.25).headers["X-Cache-Status"] == "HIT"


def test_what_a_personality_missed_is_not_suggested_while_it_does_not_speak(http):
    made = http.post("/api/voice/personalities", json={"name": f"shy-{uuid.uuid4().hex[:6]}"})
    location, text = made.headers["Location"], fresh("Shy")
    speak(http, text, personality_id=made.json()["id"], quality="fast")

    def is_suggested():
        items = http.get(SUGGESTIONS, params={"limit": 200}).json()["items"]
        return text in [item["phrase"] for item in items]

    until(is_suggested, "it is told of")
    http.patch(location, json={"is_active": False})
    assert not is_suggested()
    http.patch(location, json={"is_active": True})
    assert is_suggested()
    http.delete(location)
    assert not is_suggested()


def test_phrases_that_are_spoken_alike_are_one(http):
    text = fresh()
    phrases = [text, f" {text} ", f"{text}\n", text.replace(" ", "  ", 1)]
    assert http.post(PREWARM, json={"phrases": phrases, "dry_run": True}).json()["total"] == 1


def test_warming_takes_nothing_of_the_keys_rate(farm, keys):
    key, secret = keys.create(Scope.MANAGE, "warmer")
    with farm.client() as client, farm.redis.client(1) as state:
        client.headers["Authorization"] = f"Bearer {secret}"
        ended(client, begin(client, [fresh(f"{n}") for n in range(20)], **ESPEAK))
        assert not list(state.scan_iter(f"voice:rate*{key.id}*"))
