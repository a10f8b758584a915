"""Personalities over HTTP: made, changed, deleted, and by whom."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from shared.scopes import Scope
from tests.integration.test_contract import MARCEL, TIME, UUID, ZAC, fresh, is_problem, speak

PERSONALITIES = "/api/voice/personalities"


def new_name():
    return f"p {uuid.uuid4().hex[:8]}"


def make(http, **fields):
    answer = http.post(PERSONALITIES, json={"name": new_name()} | fields)
    assert answer.status_code == 201, answer.text
    return answer


@pytest.fixture
def ann(http):
    """The address of a personality that is gone afterwards."""
    url = make(http, language="en-GB", voice_config={"voices": {"espeak": "f3"}}).headers["Location"]
    yield url
    http.delete(url)


@contextmanager
def the_default_stays(http):
    yield
    assert http.patch(f"{PERSONALITIES}/{MARCEL}", json={"is_default": True}).status_code == 200


# Made


def test_a_name_is_enough_for_a_personality(http):
    name = new_name()
    answer = http.post(PERSONALITIES, json={"name": f"  {name} "})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{PERSONALITIES}/{made['id']}"
    assert UUID.fullmatch(made["id"])
    assert TIME.fullmatch(made["created_at"])
    assert (made["name"], made["personality_name"], made["language"]) == (name, name, "en")
    assert (made["is_active"], made["is_default"], made["voice_revision"]) == (True, False, 1)
    shown = http.get(answer.headers["Location"])
    assert shown.json() == made
    assert shown.headers["ETag"] == answer.headers["ETag"]
    assert made in http.get(PERSONALITIES, params={"limit": 200}).json()["items"]
    assert speak(http, fresh(), personality_id=made["id"]).headers["X-Provider"] == "espeak"
    assert http.delete(answer.headers["Location"]).status_code == 204


def test_everything_can_be_said_of_a_new_personality(http):
    voice = {
        "provider": "espeak",
        "fallback_chain": ["piper", "espeak"],
        "voice_settings": {"speed": 1.25, "pitch": -2},
        "voices": {"espeak": "f2", "piper": "amy"},
    }
    asked = {
        "name": new_name(), "personality_name": "The Captain", "is_active": False, "language": "PT-br",
        "voice_config": voice,
    }  # fmt: skip
    answer = http.post(PERSONALITIES, json=asked)
    made = answer.json()
    sample = {"sample_path": None, "sample_metadata": None}
    assert made["voice_config"].items() >= (voice | sample).items()
    assert (
        made.items() >= {"personality_name": "The Captain", "is_active": False, "language": "pt-BR"}.items()
    )
    is_problem(speak(http, "Hello", personality_id=made["id"]), 404, "not_found")
    http.delete(answer.headers["Location"])


def test_a_name_is_taken_once(http, ann):
    name = http.get(ann).json()["name"]
    problem = is_problem(http.post(PERSONALITIES, json={"name": name}), 409, "conflict")
    assert name in problem["detail"]
    is_problem(http.patch(ann, json={"name": "zac"}), 409, "conflict")
    assert http.patch(ann, json={"name": name}).status_code == 200


def test_of_many_who_want_one_name_at_once_one_gets_it(farm):
    name = new_name()
    with farm.client() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(PERSONALITIES, json={"name": name}), range(8)))
        made = [answer for answer in answers if answer.status_code == 201]
        assert len(made) == 1
        assert {answer.status_code for answer in answers} == {201, 409}
        client.delete(made[0].headers["Location"])


REFUSED = [
    ({"name": ""}, "name"),
    ({"name": " "}, "name"),
    ({"name": None}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "a\x00b"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "a\u202eb"}, "name"),
    ({"name": str(uuid.UUID(int=7))}, "name"),
    ({"personality_name": ""}, "personality_name"),
    ({"personality_name": "a\x07"}, "personality_name"),
    ({"language": "e"}, "language"),
    ({"language": "../etc"}, "language"),
    ({"language": "en" + "-x" * 30}, "language"),
    ({"language": None}, "language"),
    ({"is_active": None}, "is_active"),
    ({"is_default": None}, "is_default"),
    ({"voice_config": None}, "voice_config"),
    ({"voice_config": {"voices": None}}, "voice_config.voices"),
    ({"voice_config": {"voice_settings": None}}, "voice_config.voice_settings"),
    ({"voice_config": {"voice_settings": {"speed": None}}}, "voice_config.voice_settings.speed"),
    ({"is_active": "yes"}, "is_active"),
    ({"is_default": 1}, "is_default"),
    ({"voice": "m3"}, "voice"),
    ({"id": MARCEL}, "id"),
    ({"voice_revision": 9}, "voice_revision"),
    ({"voice_config": []}, "voice_config"),
    ({"voice_config": {"gain": 1}}, "voice_config.gain"),
    ({"voice_config": {"provider": "polly"}}, "voice_config.provider"),
    ({"voice_config": {"provider": 3}}, "voice_config.provider"),
    ({"voice_config": {"fallback_chain": []}}, "voice_config.fallback_chain"),
    ({"voice_config": {"fallback_chain": "piper"}}, "voice_config.fallback_chain"),
    ({"voice_config": {"fallback_chain": ["piper", "polly"]}}, "voice_config.fallback_chain.1"),
    ({"voice_config": {"voice_settings": {"speed": 0.2}}}, "voice_config.voice_settings.speed"),
    ({"voice_config": {"voice_settings": {"pitch": "0"}}}, "voice_config.voice_settings.pitch"),
    ({"voice_config": {"voice_settings": {"gain": 1}}}, "voice_config.voice_settings.gain"),
    ({"voice_config": {"voices": {"espeak": 3}}}, "voice_config.voices.espeak"),
    ({"voice_config": {"voices": {"espeak": "a\x00"}}}, "voice_config.voices.espeak"),
    ({"voice_config": {"voices": {"polly": "joanna"}}}, "voice_config.voices.polly"),
    ({"voice_config": {"sample_path": "/etc/passwd"}}, "voice_config.sample_path"),
    ({"voice_config": {"sample_path": None}}, "voice_config.sample_path"),
    ({"voice_config": {"sample_metadata": {"duration": 9}}}, "voice_config.sample_metadata"),
]


@pytest.mark.parametrize(("fields", "field"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_a_personality_cannot_be_is_refused_with_the_field(http, fields, field):
    made = http.post(PERSONALITIES, json={"name": new_name()} | fields)
    for answer in (made, http.patch(f"{PERSONALITIES}/{ZAC}", json=fields)):
        problem = is_problem(answer, 422, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("body", [b"[]", b'"marcel"', b"null"])
@pytest.mark.parametrize(("method", "url"), [("POST", PERSONALITIES), ("PATCH", f"{PERSONALITIES}/{ZAC}")])
def test_a_body_that_is_no_object_is_refused(http, method, url, body):
    answer = http.request(method, url, content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, 422, "invalid_request")


# Changed


def test_a_patch_changes_what_it_names_and_nothing_else(http, ann):
    before = http.get(ann).json()
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = http.patch(ann, content=b'{"personality_name": "Ann"}', headers=headers)
    after = answer.json()
    assert after["personality_name"] == "Ann"
    assert after["updated_at"] > before["updated_at"]
    unnamed = before.keys() - {"personality_name", "updated_at"}
    assert {name: after[name] for name in unnamed} == {name: before[name] for name in unnamed}
    assert http.get(ann).json() == after


def test_null_takes_away_what_need_not_be(http, ann):
    voice = {"provider": "espeak", "fallback_chain": ["piper"], "gender": "female"}
    voices = {"piper": "amy", "espeak": "f3"}
    http.patch(ann, json={"personality_name": "Ann", "voice_config": voice | {"voices": voices}})
    nulls = dict.fromkeys(voice) | {"voices": dict.fromkeys(voices)}
    after = http.patch(ann, json={"personality_name": None, "voice_config": nulls}).json()
    assert after["personality_name"] == after["name"]
    assert after["voice_config"]["voices"] == {}
    assert [after["voice_config"][name] for name in voice] == [None, None, None]


def test_a_patch_reaches_into_the_voice_configuration(http, ann):
    first = {"provider": "espeak", "voices": {"piper": "amy"}, "voice_settings": {"pitch": 3}}
    http.patch(ann, json={"voice_config": first})
    second = {"voices": {"espeak": None}, "voice_settings": {"speed": 1.5}, "provider": None}
    voice = http.patch(ann, json={"voice_config": second}).json()["voice_config"]
    assert voice["provider"] is None
    assert voice["voices"] == {"piper": "amy"}
    assert voice["voice_settings"] == {"speed": 1.5, "pitch": 3.0}


@pytest.mark.parametrize(
    ("patch", "moves"),
    [
        ({"name": "someone else"}, 0),
        ({"personality_name": "Somebody", "language": "fr", "is_active": False}, 0),
        ({"voice_config": {"voices": {"espeak": "f3"}}}, 0),
        ({"voice_config": {"voices": {"espeak": "f4"}}}, 1),
        ({"voice_config": {"provider": "piper"}}, 1),
        ({"voice_config": {"fallback_chain": ["espeak"]}}, 1),
        ({"voice_config": {"voice_settings": {"speed": 1.01}}}, 1),
        ({}, 0),
    ],
    ids=str,
)
def test_the_voice_revision_moves_with_the_voice_and_with_nothing_else(http, ann, patch, moves):
    before = http.get(ann).json()["voice_revision"]
    assert http.patch(ann, json=patch).json()["voice_revision"] == before + moves


def test_a_rename_keeps_what_is_cached_and_a_new_voice_does_not(http, ann):
    text, who = fresh(), ann.rpartition("/")[2]
    url = speak(http, text, personality_id=who).headers["Content-Location"]
    http.patch(ann, json={"name": new_name(), "language": "en-GB"})
    assert speak(http, text, personality_id=who).headers["X-Cache-Status"] == "HIT"
    http.patch(ann, json={"voice_config": {"voice_settings": {"pitch": 1}}})
    assert speak(http, text, personality_id=who).headers["X-Cache-Status"] == "MISS"
    is_problem(http.get(url), 404, "not_found")


def test_patches_at_once_all_take_effect(http, farm, ann):
    def patch(number):
        with farm.client() as client:
            return client.patch(
                ann, json={"voice_config": {"voices": {PROVIDERS[number]: f"v{number}"}}}
            ).status_code

    before = http.get(ann).json()
    with ThreadPoolExecutor(len(PROVIDERS)) as pool:
        statuses = list(pool.map(patch, range(len(PROVIDERS))))
    after = http.get(ann).json()
    assert set(statuses) == {200}
    assert after["voice_config"]["voices"] == {name: f"v{n}" for n, name in enumerate(PROVIDERS)}
    assert after["voice_revision"] == before["voice_revision"] + len(PROVIDERS)


PROVIDERS = ("espeak", "piper", "google_tts", "xtts_v2", "styletts2")


def test_of_many_who_read_the_same_one_writes(http, farm, ann):
    etag = http.get(ann).headers["ETag"]

    def patch(number):
        with farm.client() as client:
            return client.patch(ann, json={"personality_name": f"Ann {number}"}, headers={"If-Match": etag})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(patch, range(6)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(412)) == (1, 5)
    [written] = [answer for answer in answers if answer.status_code == 200]
    assert http.get(ann).json() == written.json()
    is_problem(answers[statuses.index(412)], 412, "precondition_failed")


def test_a_condition_that_holds_is_none(http, ann):
    etag = http.get(ann).headers["ETag"]
    for condition in (f'"x", {etag}', "*"):
        assert http.patch(ann, json={"is_active": True}, headers={"If-Match": condition}).status_code == 200
    is_problem(http.delete(ann, headers={"If-Match": '"x"'}), 412, "precondition_failed")
    assert http.delete(ann, headers={"If-Match": http.get(ann).headers["ETag"]}).status_code == 204


# The default


def test_the_default_moves_to_whoever_is_made_the_default(http, ann):
    with the_default_stays(http):
        assert http.patch(ann, json={"is_default": True}).json()["is_default"] is True
        assert http.get(f"{PERSONALITIES}/{MARCEL}").json()["is_default"] is False
        heard = speak(http, fresh())
        job = http.post("/api/voice/synthesize", json={"text": fresh()}).json()
        assert heard.status_code == 200
        assert job["request"]["personality_id"] == ann.rpartition("/")[2]
    assert http.get(ann).json()["is_default"] is False


def test_a_new_personality_may_be_the_default(http):
    with the_default_stays(http):
        url = make(http, is_default=True).headers["Location"]
        defaults = [p["name"] for p in http.get(PERSONALITIES).json()["items"] if p["is_default"]]
        assert defaults == [http.get(url).json()["name"]]
    assert http.delete(url).status_code == 204


def test_many_who_become_the_default_at_once_leave_one(http, farm):
    urls = [make(http).headers["Location"] for _ in range(4)]

    def promote(url):
        with farm.client() as client:
            return client.patch(url, json={"is_default": True}).status_code

    with the_default_stays(http):
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(promote, urls)) <= {200, 409}
        everyone = http.get(PERSONALITIES, params={"limit": 200}).json()["items"]
        assert [p["is_default"] for p in everyone].count(True) == 1
    for url in urls:
        http.delete(url)


@pytest.mark.parametrize("patch", [{"is_active": False}, {"is_default": False}], ids=str)
def test_the_default_keeps_its_post(http, patch):
    problem = is_problem(http.patch(f"{PERSONALITIES}/{MARCEL}", json=patch), 409, "conflict")
    assert "make another one the default first" in problem["detail"]
    is_problem(http.delete(f"{PERSONALITIES}/{MARCEL}"), 409, "conflict")
    assert http.get(f"{PERSONALITIES}/{MARCEL}").json()["is_default"] is True


def test_nobody_inactive_becomes_the_default(http, ann):
    http.patch(ann, json={"is_active": False})
    body = {"name": new_name(), "is_default": True, "is_active": False}
    for answer in (http.patch(ann, json={"is_default": True}), http.post(PERSONALITIES, json=body)):
        problem = is_problem(answer, 409, "conflict")
        assert "cannot be the default personality, which must be active" in problem["detail"]
    assert http.patch(ann, json={"is_default": True, "is_active": True}).status_code == 200
    with the_default_stays(http):
        pass


# Deleted and inactive


def test_what_is_deleted_is_gone_with_its_audio_and_jobs_keep_theirs(http, farm):
    url = make(http).headers["Location"]
    who, text = url.rpartition("/")[2], fresh()
    job = http.post("/api/voice/synthesize", json={"text": text, "personality_id": who}).headers["Location"]
    spoken = speak(http, text, personality_id=who)
    http.get(spoken.headers["Content-Location"])
    answer = http.delete(url)
    assert (answer.status_code, answer.content) == (204, b"")
    for request in (
        ("GET", url),
        ("DELETE", url),
        ("PATCH", url),
        ("GET", spoken.headers["Content-Location"]),
    ):
        is_problem(http.request(*request, json={} if request[0] == "PATCH" else None), 404, "not_found")
    is_problem(speak(http, text, personality_id=who), 404, "not_found")
    assert farm.redis.client(2).zcard(f"voice:entries:{who}") == 0
    assert http.get(f"{job}/audio").content == spoken.content


def test_inactive_is_inactive_everywhere_until_it_is_active_again(http, ann):
    who, text = ann.rpartition("/")[2], fresh()
    spoken = speak(http, text, personality_id=who)
    http.patch(ann, json={"is_active": False})
    is_problem(speak(http, text, personality_id=who), 404, "not_found")
    is_problem(http.get(spoken.headers["Content-Location"]), 404, "not_found")
    http.patch(ann, json={"is_active": True})
    assert speak(http, text, personality_id=who).headers["X-Cache-Status"] == "HIT"


@pytest.mark.parametrize("who", [str(uuid.UUID(int=3)), "marcel", "1"])
def test_nobody_by_that_id_is_not_found(http, who):
    url = f"{PERSONALITIES}/{who}"
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        is_problem(http.request(method, url, json=body), 404, "not_found")


def test_an_id_may_be_written_in_capitals(http, ann):
    address = f"{PERSONALITIES}/{ann.rpartition('/')[2].upper()}"
    assert http.patch(address, json={"personality_name": "Ann"}).json() == http.get(address).json()


# How it speaks


def test_its_own_provider_and_chain_say_who_speaks(http, ann):
    """Only espeak is enabled here: a chain without it speaks to nobody, and a provider in front helps."""
    who = ann.rpartition("/")[2]
    http.patch(ann, json={"voice_config": {"fallback_chain": ["piper", "xtts_v2"]}})
    is_problem(speak(http, fresh(), personality_id=who), 503, "no_provider")
    assert speak(http, fresh(), personality_id=who, provider="espeak").status_code == 200
    http.patch(ann, json={"voice_config": {"provider": "espeak"}})
    assert speak(http, fresh(), personality_id=who).headers["X-Provider"] == "espeak"


def test_its_settings_multiply_the_speed_and_add_to_the_pitch(http, ann):
    who, text = ann.rpartition("/")[2], fresh("A sentence that is long enough to be measured well")
    plain = int(speak(http, text, personality_id=who).headers["X-Duration-MS"])
    http.patch(ann, json={"voice_config": {"voice_settings": {"speed": 2}}})
    assert int(speak(http, text, personality_id=who).headers["X-Duration-MS"]) == pytest.approx(
        plain / 2, rel=0.1
    )


def test_only_who_may_manage_changes_personalities(farm, keys, speaker):
    _, secret = keys.create(Scope.MANAGE, "manager")
    with farm.client() as manager:
        manager.headers["Authorization"] = f"Bearer {secret}"
        url = make(manager).headers["Location"]
        assert manager.patch(url, json={"language": "fr"}).status_code == 200
        assert speaker.get(url).json()["language"] == "fr"
        is_problem(speaker.patch(url, json={"language": "de"}), 403, "forbidden")
        is_problem(speaker.delete(url), 403, "forbidden")
        is_problem(speaker.post(PERSONALITIES, json={"name": new_name()}), 403, "forbidden")
        assert manager.delete(url).status_code == 204
