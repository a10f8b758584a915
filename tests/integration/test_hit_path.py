"""What a front answers from its own memory is never older than what the farm knows."""

from __future__ import annotations

import threading

import pytest

from shared.scopes import Scope
from shared.voice_config import VoiceConfig, VoiceSettings
from tests.edits import setting
from tests.farm import until
from tests.integration.test_contract import MARCEL, SYNTHESIZE, ZAC, fresh, is_problem


def warm(http, **fields):
    """Say something until the front has it in memory; gives the request's body and the answer."""
    body = {"text": fresh(), **fields}
    http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=30"})
    http.post(SYNTHESIZE, json=body)
    return body, http.post(SYNTHESIZE, json=body)


def reads_of_audio(farm):
    return farm.redis.client(0).info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"]


def status_of(http, body):
    return http.post(SYNTHESIZE, json=body).headers["X-Cache-Status"]


def test_a_hit_is_answered_without_reading_the_audio_again(http, farm):
    body, answer = warm(http)
    before = reads_of_audio(farm)
    again = http.post(SYNTHESIZE, json=body)
    assert again.content == answer.content
    assert reads_of_audio(farm) == before


def test_an_answer_from_memory_is_the_answer_of_the_app(http):
    body, answer = warm(http)
    through_the_app = http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=7"})
    assert through_the_app.headers["Preference-Applied"] == "wait=7"
    different = {"date", "x-request-id", "cache-control", "preference-applied"}
    told = [set(each.headers.items()) for each in (answer, through_the_app)]
    assert {name for name, _ in told[0] ^ told[1]} <= different
    assert answer.headers["Cache-Control"].startswith("private, max-age=")
    assert answer.content == through_the_app.content


def test_audio_by_its_key_is_answered_from_memory_too(http, farm):
    _, spoken = warm(http)
    url = spoken.headers["Content-Location"]
    answers = [http.get(url) for _ in range(2)]
    before = reads_of_audio(farm)
    answers.append(http.get(url))
    assert reads_of_audio(farm) == before
    assert {answer.content for answer in answers} == {spoken.content}
    assert http.get(url, headers={"Range": "bytes=0-3"}).content == b"RIFF"
    assert http.get(url, headers={"If-None-Match": spoken.headers["ETag"]}).status_code == 304


def test_the_request_id_is_this_requests_own(http):
    body, _ = warm(http)
    headers = {"X-Request-Id": "call-43"}
    assert http.post(SYNTHESIZE, json=body, headers=headers).headers["X-Request-Id"] == "call-43"
    ids = {http.post(SYNTHESIZE, json=body).headers["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


def test_hits_from_memory_are_counted(http):
    body, _ = warm(http)

    def hits():
        return http.get("/api/voice/cache/stats").json()["cache"]["hits"]

    before = hits()
    for _ in range(5):
        http.post(SYNTHESIZE, json=body)
    assert hits() == before + 5


def test_a_revoked_key_gets_nothing_from_memory(http, farm, keys):
    key, secret = keys.create(Scope.SPEAK, "soon gone")
    with farm.client() as theirs:
        theirs.headers["Authorization"] = f"Bearer {secret}"
        body, _ = warm(theirs)
        keys.revoke(key.id)
        is_problem(theirs.post(SYNTHESIZE, json=body), 401, "unauthorized")
        assert status_of(http, body) == "HIT", "others still have it"


def test_nobody_gets_anything_from_memory_without_a_key(http, farm):
    body, _ = warm(http)
    with farm.client() as stranger:
        for header in ("Bearer " + "x" * 43, "Bearer", "Basic YTpi"):
            stranger.headers["Authorization"] = header
            is_problem(stranger.post(SYNTHESIZE, json=body), 401, "unauthorized")
        del stranger.headers["Authorization"]
        is_problem(stranger.post(SYNTHESIZE, json=body), 401, "unauthorized")


def test_a_deactivated_personality_is_not_heard_from_memory(http, personalities):
    body, _ = warm(http, personality_id=ZAC)
    personalities.change(ZAC, setting(is_active=False))
    try:
        is_problem(http.post(SYNTHESIZE, json=body), 404, "not_found")
    finally:
        personalities.change(ZAC, setting(is_active=True))
    assert status_of(http, body) == "HIT"


def test_a_changed_voice_is_not_heard_from_memory(http, personalities):
    body, spoken = warm(http, personality_id=ZAC)
    before = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=VoiceConfig(voices={"espeak": "f1"})))
    try:
        assert status_of(http, body) == "MISS"
        is_problem(http.get(spoken.headers["Content-Location"]), 404, "not_found")
    finally:
        personalities.change(ZAC, setting(voice_config=before))


@pytest.mark.parametrize("path", ["/api/voice/cache/clear", f"/api/voice/personalities/{MARCEL}/cache"])
def test_a_cleared_cache_is_not_heard_from_memory(http, path):
    body, spoken = warm(http)
    http.get(spoken.headers["Content-Location"])
    assert http.delete(path).json()["deleted_entries"] >= 1
    is_problem(http.get(spoken.headers["Content-Location"]), 404, "not_found")
    assert status_of(http, body) == "MISS"


@pytest.mark.parametrize("half", ["audio", "metadata"])
def test_half_an_entry_is_a_miss_although_memory_had_it_whole(http, farm, half):
    body, spoken = warm(http)
    key = spoken.headers["Content-Location"].rpartition("/")[2]
    farm.redis.client(2).delete(f"voice:{half}:{key}")
    until(lambda: status_of(http, body) != "HIT", "the front has heard of it")


def test_while_a_voice_changes_again_and_again_nobody_hears_one_of_before(http, farm, personalities):
    before = personalities.get(ZAC).voice_config
    body = {"text": fresh("Which voice is this?"), "personality_id": ZAC}
    stop = threading.Event()
    heard, generation_of, generation = [], {}, 0

    def listen():
        with farm.client() as client:
            while not stop.is_set():
                at_least = generation
                answer = client.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=30"})
                heard.append((at_least, answer.content))

    listeners = [threading.Thread(target=listen) for _ in range(4)]
    for listener in listeners:
        listener.start()
    try:
        for number in range(1, 20):
            voice = before.model_copy(update={"voice_settings": VoiceSettings(pitch=number / 2)})
            personalities.change(ZAC, setting(voice_config=voice))
            generation = number
            for _ in range(3):  # the third one comes from memory
                spoken = http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=30"}).content
                assert generation_of.setdefault(spoken, number) == number
    finally:
        stop.set()
        for listener in listeners:
            listener.join()
        personalities.change(ZAC, setting(voice_config=before))
    assert len(generation_of) == 19, "each change is heard"
    assert all(generation_of[spoken] >= at_least for at_least, spoken in heard if at_least)
