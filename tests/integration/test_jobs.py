"""Jobs of a running farm, from asking to the last event."""

from __future__ import annotations

import json

from tests.edits import setting
from tests.integration.test_contract import fresh, is_problem, speak

JOBS = "/api/voice/jobs"


def events_of(http, location, **headers):
    """Follow a job to its end; gives the data of each event."""
    answer = http.get(f"{location}/events", headers=headers)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    # A comment tells only that the connection lives.
    blocks = [block.splitlines() for block in answer.text.split("\n\n") if block and block[0] != ":"]
    assert all(block[0] == "event: job" and block[1].startswith("id: ") for block in blocks)
    return [json.loads(block[2].removeprefix("data: ")) for block in blocks]


def test_a_job_is_asked_for_followed_heard_and_asked_for_again(http):
    text = fresh()
    asked = http.post(JOBS, json={"text": text})
    assert (asked.status_code, asked.json()["cache_status"]) == (202, "MISS")
    told = events_of(http, asked.headers["Location"])
    assert told[-1]["status"] == "succeeded"
    assert [job["status"] for job in told] == sorted({job["status"] for job in told}), "each is told once"
    assert told[-1] == http.get(asked.headers["Location"]).json()
    audio = http.get(f"{asked.headers['Location']}/audio")
    assert audio.content == http.get(told[-1]["audio"]["url"]).content

    again = http.post(JOBS, json={"text": text})
    assert (again.status_code, again.json()["cache_status"]) == (200, "HIT")
    assert again.json()["id"] != asked.json()["id"]
    assert http.get(f"{again.headers['Location']}/audio").content == audio.content
    assert http.delete("/api/voice/cache/clear").status_code == 200
    assert http.get(f"{again.headers['Location']}/audio").content == audio.content
    is_problem(http.get(again.json()["audio"]["url"]), 404, "not_found")


def test_a_repeated_synthesis_is_the_same_job_and_the_same_audio(http, speaker):
    headers = {"Idempotency-Key": fresh("key").replace(" ", "-")}
    text = fresh()
    first = http.post("/api/voice/synthesize", json={"text": text}, headers=headers)
    job = http.get(first.headers["Location"]).json()
    waited = http.post("/api/voice/synthesize?wait=30", json={"text": text}, headers=headers)
    assert (waited.status_code, waited.headers["X-Cache-Status"]) == (200, "MISS")
    assert http.post(JOBS, json={"text": text}, headers=headers).json()["id"] == job["id"]
    is_problem(http.post(JOBS, json={"text": fresh()}, headers=headers), 422, "idempotency_mismatch")
    assert speaker.post(JOBS, json={"text": text}, headers=headers).json()["id"] != job["id"]


def test_a_failed_job_is_told_with_its_attempts(http, personalities):
    zac = "00000000-0000-0000-0001-000000000003"
    voice = personalities.get(zac).voice_config
    personalities.change(zac, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "nobody"}})))
    try:
        job = http.post(JOBS, json={"text": fresh(), "personality_id": zac}).headers["Location"]
        last = events_of(http, job)[-1]
    finally:
        personalities.change(zac, setting(voice_config=voice))
    assert (last["status"], last["error"]["code"]) == ("failed", "synthesis_failed")
    assert [attempt["code"] for attempt in last["attempts"]] == ["voice_not_found"]
    assert last in http.get(JOBS, params={"status": "failed", "personality_id": zac}).json()["items"]


def test_lists_come_in_pages_that_fit_together(http, speaker):
    speak(speaker, fresh())
    jobs = [speaker.post(JOBS, json={"text": fresh()}).json()["id"] for _ in range(5)]
    told, cursor = [], ""
    while cursor is not None:
        page = speaker.get(JOBS, params={"limit": 2, "cursor": cursor}).json()
        assert len(page["items"]) <= 2
        told += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert told[:5] == jobs[::-1]
    assert len(told) == 6
    assert set(told) < {job["id"] for job in http.get(JOBS, params={"limit": 200}).json()["items"]}
