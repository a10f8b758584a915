"""The contract as a table of requests and answers, asked of a running farm."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
import soundfile

from shared.scopes import Scope
from tests.edits import setting
from tests.farm import until

SYNTHESIZE = "/api/voice/synthesize"
MARCEL, SHANTE, ZAC = (f"00000000-0000-0000-0001-00000000000{n}" for n in (1, 2, 3))
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def fresh(text="A sentence that nobody has said before"):
    return f"{text} {uuid.uuid4().hex[:8]}."


def speak(http, text, wait=30, **fields):
    return http.post(SYNTHESIZE, json={"text": text, **fields}, headers={"Prefer": f"wait={wait}"})


def is_problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "instance", "code"} <= body.keys()
    assert body["status"] == status
    assert body["instance"] == quote(answer.request.url.path)
    assert body["detail"]
    assert answer.headers["X-Request-Id"]
    fields = body.get("errors", ())
    assert bool(fields) == (status == 422)
    assert all(field.keys() == {"field", "message"} for field in fields)
    return body


# What cannot be used is refused, with the field that is wrong

BAD_FIELDS = [
    ({}, "text"),
    ({"text": ""}, "text"),
    ({"text": " \n\t "}, "text"),
    ({"text": "?! …"}, "text"),
    ({"text": "x" * 3001}, "text"),
    ({"text": 5}, "text"),
    ({"text": None}, "text"),
    ({"text": ["Hi"]}, "text"),
    ({"text": "Hi", "speed": 0.24}, "speed"),
    ({"text": "Hi", "speed": 4.01}, "speed"),
    ({"text": "Hi", "speed": "1"}, "speed"),
    ({"text": "Hi", "speed": True}, "speed"),
    ({"text": "Hi", "speed": None}, "speed"),
    ({"text": "Hi", "pitch": -20.1}, "pitch"),
    ({"text": "Hi", "pitch": 20.1}, "pitch"),
    ({"text": "Hi", "pitch": "0"}, "pitch"),
    ({"text": "Hi", "quality": "best"}, "quality"),
    ({"text": "Hi", "quality": "HIGH"}, "quality"),
    ({"text": "Hi", "quality": 1}, "quality"),
    ({"text": "Hi", "format": "wma"}, "format"),
    ({"text": "Hi", "provider": "polly"}, "provider"),
    ({"text": "Hi", "provider": 7}, "provider"),
    ({"text": "Hi", "fallback": "maybe"}, "fallback"),
    ({"text": "Hi", "stream": "no"}, "stream"),
    ({"text": "Hi", "stream": 0}, "stream"),
    ({"text": "Hi", "stream": True}, "stream"),
    ({"text": "Hi", "language": "e"}, "language"),
    ({"text": "Hi", "language": "../etc"}, "language"),
    ({"text": "Hi", "language": 3}, "language"),
    ({"text": "Hi", "personality_id": "marcel"}, "personality_id"),
    ({"text": "Hi", "personality_id": "00000000000000000001000000000001"}, "personality_id"),
    ({"text": "Hi", "personality_id": 1}, "personality_id"),
    ({"text": "Hi", "voice": "alloy"}, "voice"),
]


@pytest.mark.parametrize(("body", "field"), BAD_FIELDS, ids=lambda value: str(value)[:40])
def test_a_field_that_cannot_be_used_is_named(http, body, field):
    problem = is_problem(http.post(SYNTHESIZE, json=body), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert all(error["message"] for error in problem["errors"])


def test_every_wrong_field_is_named_at_once(http):
    problem = is_problem(http.post(SYNTHESIZE, json={"text": "", "speed": 9, "x": 1}), 422, "invalid_request")
    assert {error["field"] for error in problem["errors"]} == {"text", "speed", "x"}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["speed", "pitch"])
def test_numbers_that_are_none_are_refused(http, literal, field):
    body = f'{{"text": "Hi", "{field}": {literal}}}'
    answer = http.post(SYNTHESIZE, content=body, headers={"Content-Type": "application/json"})
    problem = is_problem(answer, 422, "invalid_request")
    assert problem["errors"][0]["field"] == field


BAD_BODIES = [
    (b"", 400, "malformed_json"),
    (b"{", 400, "malformed_json"),
    (b'{"text": "\xff"}', 400, "malformed_json"),
    (b"[" * 100_000, 400, "malformed_json"),
    (b'{"text": "Hi", "speed": ' + b"9" * 5000 + b"}", 422, "invalid_request"),
    (b"[]", 422, "invalid_request"),
    (b'"Hi"', 422, "invalid_request"),
    (b"null", 422, "invalid_request"),
    (b'{"text": "\\ud800"}', 422, "invalid_request"),
    (b'{"text": "<speak>Hi</speak>"}', 422, "ssml_not_supported"),
    (b'{"text": "Wait <break time=\\"1s\\"/> there"}', 422, "ssml_not_supported"),
    (b'{"text": "' + b"x" * 1024 * 1024 + b'"}', 413, "body_too_large"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD_BODIES, ids=lambda value: str(value)[:30])
def test_a_body_that_cannot_be_used_is_refused(http, body, status, code):
    answer = http.post(SYNTHESIZE, content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, status, code)
    assert answer.headers["X-Cache-Status"] == "MISS"


def test_a_chunked_body_has_the_same_limit(http):
    def chunks():
        yield b'{"text": "Hi"'
        for _ in range(20):
            yield b" " * 65536
        yield b"}"

    answer = http.post(SYNTHESIZE, content=chunks(), headers={"Content-Type": "application/json"})
    is_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_declared_as_json_is_refused(http, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    is_problem(
        http.post(SYNTHESIZE, content=b'{"text":"Hi"}', headers=headers), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/api/voice/nothing", "/api/voice/jobs/1", "/api/voice/jobs/a%20b%22", "/api/voice/audio/1"],
)
def test_an_unknown_address_is_not_found(http, path):
    is_problem(http.get(path), 404, "not_found")


def test_where_a_parameter_is_no_list_it_is_given_once(http):
    [error] = is_problem(http.get("/api/voice/jobs?limit=1&limit=2"), 422, "invalid_request")["errors"]
    assert error == {"field": "limit", "message": "must be given once only"}


def test_a_wrong_method_names_the_right_ones(http):
    answer = http.put(SYNTHESIZE)
    is_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "head",
    [
        *(f"POST {SYNTHESIZE} HTTP/1.1\r\nContent-Length: {length}" for length in ("abc", "-1", "+5", "")),
        *("GET /healthz HTTP/1.1\r\nBad Header: x", "GET / HTTP/9.9", "GARBAGE"),
    ],
)
def test_what_is_no_valid_http_gets_a_bare_refusal(farm, head):
    host, _, port = farm.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode())
        answer = connection.makefile("rb").read().decode().lower()
    assert answer.startswith("http/1.1 400 ")
    assert "\r\nconnection: close\r\n" in answer
    assert "\r\ncontent-length: 0\r\n" in answer


def test_ordinary_angle_brackets_are_no_ssml(http):
    assert speak(http, fresh("If a < b and c > d, then a <= d")).status_code == 200


# Who may ask

GUARDED = [
    ("POST", SYNTHESIZE, Scope.SPEAK),
    ("POST", "/api/voice/jobs", Scope.SPEAK),
    ("GET", "/api/voice/jobs", Scope.SPEAK),
    ("GET", f"/api/voice/jobs/{uuid.UUID(int=0)}", Scope.SPEAK),
    ("DELETE", f"/api/voice/jobs/{uuid.UUID(int=0)}", Scope.SPEAK),
    ("GET", f"/api/voice/jobs/{uuid.UUID(int=0)}/events", Scope.SPEAK),
    ("GET", f"/api/voice/jobs/{uuid.UUID(int=0)}/audio", Scope.SPEAK),
    ("GET", f"/api/voice/audio/{'0' * 64}", Scope.SPEAK),
    ("POST", "/api/voice/prewarm", Scope.MANAGE),
    ("GET", "/api/voice/prewarm/suggestions", Scope.MANAGE),
    ("GET", "/api/voice/batches", Scope.MANAGE),
    ("GET", f"/api/voice/batches/{uuid.UUID(int=0)}", Scope.MANAGE),
    ("DELETE", f"/api/voice/batches/{uuid.UUID(int=0)}", Scope.MANAGE),
    ("GET", "/api/voice/personalities", Scope.SPEAK),
    ("POST", "/api/voice/personalities", Scope.MANAGE),
    ("GET", f"/api/voice/personalities/{MARCEL}", Scope.SPEAK),
    ("PATCH", f"/api/voice/personalities/{MARCEL}", Scope.MANAGE),
    ("DELETE", f"/api/voice/personalities/{MARCEL}", Scope.MANAGE),
    ("PUT", f"/api/voice/personalities/{MARCEL}/voice", Scope.MANAGE),
    ("GET", f"/api/voice/personalities/{MARCEL}/voice", Scope.MANAGE),
    ("DELETE", f"/api/voice/personalities/{MARCEL}/voice", Scope.MANAGE),
    ("GET", f"/api/voice/personalities/{MARCEL}/voice/load", Scope.MANAGE),
    ("POST", f"/api/voice/personalities/{MARCEL}/voice/load", Scope.MANAGE),
    ("DELETE", f"/api/voice/personalities/{MARCEL}/voice/unload", Scope.MANAGE),
    ("GET", "/api/voice/cache/stats", Scope.SPEAK),
    ("GET", "/api/voice/providers/status", Scope.SPEAK),
    ("GET", "/api/voice/usage", Scope.MANAGE),
    ("POST", "/api/voice/keys", Scope.ADMIN),
    ("GET", "/api/voice/keys", Scope.ADMIN),
    ("GET", f"/api/voice/keys/{uuid.UUID(int=0)}", Scope.ADMIN),
    ("DELETE", f"/api/voice/keys/{uuid.UUID(int=0)}", Scope.ADMIN),
    ("DELETE", f"/api/voice/personalities/{ZAC}/cache", Scope.MANAGE),
    ("DELETE", "/api/voice/cache/clear", Scope.ADMIN),
]


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic YTpi", "Bearer " + "x" * 43, "Bearer é"]
)
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in GUARDED])
def test_nobody_gets_in_without_a_key(http, method, path, header):
    http.headers.pop("Authorization")
    headers = {"Authorization": header.encode()} if header else {}
    answer = http.request(method, path, headers=headers)
    is_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "scope"), GUARDED)
def test_a_scope_that_is_too_small_is_told(speaker, method, path, scope):
    answer = speaker.request(method, path)
    if scope is Scope.SPEAK:
        assert answer.status_code not in {401, 403}
    else:
        is_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/"])
def test_some_addresses_need_no_key(http, path):
    http.headers.pop("Authorization")
    assert http.get(path).status_code == 200


def test_another_keys_job_is_not_found_but_the_admin_sees_it(http, speaker):
    job = http.post(SYNTHESIZE, json={"text": fresh()}).headers["Location"]
    is_problem(speaker.get(job), 404, "not_found")
    is_problem(speaker.get(f"{job}/audio"), 404, "not_found")
    job = speaker.post(SYNTHESIZE, json={"text": fresh()}).headers["Location"]
    assert http.get(job).status_code == 200


def test_a_request_id_that_is_sane_comes_back(http):
    assert http.get("/healthz", headers={"X-Request-Id": "call-42"}).headers["X-Request-Id"] == "call-42"
    for strange in ("a b", "x" * 300, "ä".encode(), "<script>"):
        given = http.get("/healthz", headers={"X-Request-Id": strange}).headers["X-Request-Id"]
        assert UUID.fullmatch(given)


# Speech


def test_what_is_asked_twice_is_a_miss_and_a_hit_of_the_same_audio(http):
    text = fresh()
    first, second = speak(http, text), speak(http, text)
    assert [answer.status_code for answer in (first, second)] == [200, 200]
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    assert first.content == second.content
    for answer in (first, second):
        assert answer.headers["Content-Type"] == "audio/wav"
        assert answer.headers["X-Provider"] == "espeak"
        assert answer.headers["X-Degraded"] == "false"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["Preference-Applied"] == "wait=30"
        sound = soundfile.info(io.BytesIO(answer.content))
        assert sound.samplerate == int(answer.headers["X-Sample-Rate"])
        assert int(answer.headers["X-Duration-MS"]) == pytest.approx(sound.duration * 1000, abs=1)
        assert sound.duration > 1


FORMATS = {
    "wav": ("audio/wav", "WAV"),
    "mp3": ("audio/mpeg", "MP3"),
    "opus": ("audio/ogg", "OGG"),
    "flac": ("audio/flac", "FLAC"),
    "pcm": ("audio/pcm", None),
}


@pytest.mark.parametrize("audio_format", FORMATS)
def test_each_format_has_its_type_and_headers_that_are_true(http, audio_format):
    text = fresh()
    wav, *answers = [speak(http, text, format=name) for name in ("wav", audio_format, audio_format)]
    content_type, container = FORMATS[audio_format]
    for answer in answers:
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        raw = {"format": "RAW", "subtype": "PCM_16", "channels": 1, "endian": "LITTLE"}
        raw["samplerate"] = int(answer.headers["X-Sample-Rate"])
        samples, rate_hz = soundfile.read(io.BytesIO(answer.content), **({} if container else raw))
        if container:
            assert soundfile.info(io.BytesIO(answer.content)).format == container
        assert int(answer.headers["X-Sample-Rate"]) == rate_hz
        assert int(answer.headers["X-Duration-MS"]) == round(1000 * len(samples) / rate_hz)
    assert answers[1].headers["X-Cache-Status"] == "HIT"
    assert answers[1].content == answers[0].content
    assert int(answers[0].headers["X-Duration-MS"]) == pytest.approx(int(wav.headers["X-Duration-MS"]), abs=1)


def test_opus_comes_at_24_or_48_kilohertz(http):
    assert speak(http, fresh(), format="opus").headers["X-Sample-Rate"] in {"24000", "48000"}


def test_a_job_tells_of_its_format(http):
    answer = http.post(SYNTHESIZE, json={"text": fresh(), "format": "mp3"})
    assert answer.json()["request"]["format"] == "mp3"
    until(lambda: http.get(answer.headers["Location"]).json()["status"] == "succeeded", "the job succeeds")
    about = http.get(answer.headers["Location"]).json()["audio"]
    for url in (about["url"], f"{answer.headers['Location']}/audio"):
        audio = http.get(url)
        assert audio.headers["Content-Type"] == "audio/mpeg"
        assert (about["format"], about["bytes"]) == ("mp3", len(audio.content))
        assert about["duration_ms"] == int(audio.headers["X-Duration-MS"])
        assert about["sample_rate"] == int(audio.headers["X-Sample-Rate"])


def test_white_space_does_not_change_the_key_but_case_does(http):
    text = fresh("Polish")
    speak(http, text)
    assert speak(http, f"  {text.replace(' ', '  ')}\n").headers["X-Cache-Status"] == "HIT"
    assert speak(http, text.lower()).headers["X-Cache-Status"] == "MISS"


@pytest.mark.parametrize(
    "fields",
    [
        {"personality_id": SHANTE},
        {"language": "de"},
        {"speed": 1.5},
        {"pitch": 3},
        {"quality": "fast"},
        {"provider": "espeak"},
        {"fallback": "never"},
        {"format": "flac"},
    ],
)
def test_each_field_that_changes_the_sound_is_a_miss_of_its_own(http, fields):
    text = fresh()
    speak(http, text)
    answer = speak(http, text, **fields)
    assert (answer.status_code, answer.headers["X-Cache-Status"]) == (200, "MISS")


def test_defaults_and_their_explicit_values_are_one(http):
    text = fresh()
    speak(http, text)
    explicit = {
        "personality_id": MARCEL, "language": "EN", "speed": 1, "pitch": -0.0,
        "quality": "high", "format": "wav", "fallback": "any", "stream": False,
    }  # fmt: skip
    assert speak(http, text, **explicit).headers["X-Cache-Status"] == "HIT"


def test_speed_and_pitch_of_the_personality_are_applied(http):
    text = fresh()
    durations = {}
    for personality in (MARCEL, SHANTE, ZAC):
        answer = speak(http, text, personality_id=personality)
        durations[personality] = int(answer.headers["X-Duration-MS"])
    assert durations[SHANTE] < durations[ZAC]


@pytest.mark.parametrize("language", ["en", "en-US", "EN-us", "de", "zh-cn", "zh", "pt-br", "no"])
def test_languages_are_taken_in_any_spelling(http, language):
    assert speak(http, "Hallo 1 2 3", language=language).status_code == 200


def test_a_language_that_nobody_speaks_is_refused(http):
    is_problem(speak(http, "Hello", language="xx"), 422, "language_not_supported")


@pytest.mark.parametrize("speed", [0.25, 4.0])
@pytest.mark.parametrize("pitch", [-20, 20])
def test_the_bounds_themselves_are_spoken(http, speed, pitch):
    assert speak(http, "Bounds", speed=speed, pitch=pitch).status_code == 200


def test_the_longest_text_is_spoken(http):
    text = ("All work and no play makes a long text. " * 100)[:2990] + uuid.uuid4().hex[:10]
    answer = speak(http, text, speed=4.0, wait=60)
    assert answer.status_code == 200
    assert int(answer.headers["X-Duration-MS"]) > 30_000


def test_a_personality_that_is_not_there_is_not_found(http):
    is_problem(speak(http, "Hello", personality_id=str(uuid.uuid4())), 404, "not_found")


@pytest.mark.parametrize("provider", [{}, {"provider": "espeak"}])
def test_a_cloned_voice_needs_a_sample(http, provider):
    is_problem(speak(http, "Hello", fallback="same_voice", **provider), 422, "no_voice_sample")


@pytest.mark.parametrize("provider", ["xtts_v2", "styletts2", "piper", "google_tts"])
def test_a_provider_that_is_not_enabled_leaves_no_job(http, farm, provider):
    before = set(farm.redis.client(1).keys("voice:job:*"))
    answer = speak(http, fresh(), provider=provider)
    is_problem(answer, 503, "no_provider")
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Cache-Status"] == "MISS"
    assert set(farm.redis.client(1).keys("voice:job:*")) == before


def test_when_every_provider_fails_the_caller_is_told_of_each_attempt(http, personalities):
    voice = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "nobody"}})))
    try:
        problem = is_problem(speak(http, fresh(), personality_id=ZAC), 502, "synthesis_failed")
        job = http.post(SYNTHESIZE, json={"text": fresh(), "personality_id": ZAC}).headers["Location"]
        until(lambda: http.get(job).json()["status"] == "failed", "the job fails")
    finally:
        personalities.change(ZAC, setting(voice_config=voice))
    [attempt] = problem["attempts"]
    assert attempt.keys() == {"provider", "code", "detail"}
    assert (attempt["provider"], attempt["code"]) == ("espeak", "voice_not_found")
    failed = http.get(job).json()
    assert failed["error"]["code"] == "synthesis_failed"
    assert (failed["audio"], failed["queue"], failed["attempts"][0]["code"]) == (
        None,
        None,
        "voice_not_found",
    )
    is_problem(http.get(f"{job}/audio"), 409, "conflict")


# Jobs and waiting


def test_without_waiting_there_is_a_job(http):
    text = fresh()
    answer = http.post(SYNTHESIZE, json={"text": text, "speed": 1.1})
    job = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/voice/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.headers["X-Cache-Status"] == "MISS"
    assert "Preference-Applied" not in answer.headers
    assert UUID.fullmatch(job["id"])
    assert TIME.fullmatch(job["created_at"])
    assert job["status"] in {"queued", "running", "succeeded"}
    assert job["cache_status"] == "MISS"
    assert job["attempts"] == []
    assert job["error"] is None
    asked = {"text": text, "personality_id": MARCEL, "language": "en", "speed": 1.1, "pitch": 0.0,
             "quality": "high", "format": "wav"}  # fmt: skip
    assert asked.items() <= job["request"].items()
    if job["status"] == "queued":
        assert job["queue"]["name"] == "espeak"
        assert job["queue"]["position"] >= 1
        assert job["queue"]["eta_seconds"] >= 0

    until(lambda: http.get(answer.headers["Location"]).json()["status"] == "succeeded", "the job succeeds")
    job = http.get(answer.headers["Location"]).json()
    assert job["queue"] is None
    assert (job["provider"], job["degraded"]) == ("espeak", False)
    assert job["created_at"] <= job["started_at"] <= job["finished_at"]
    audio = http.get(job["audio"]["url"])
    assert audio.status_code == 200
    assert job["audio"]["bytes"] == len(audio.content)
    assert job["audio"]["duration_ms"] == int(audio.headers["X-Duration-MS"])
    assert (job["audio"]["format"], job["audio"]["sample_rate"]) == (
        "wav",
        int(audio.headers["X-Sample-Rate"]),
    )
    assert http.get(f"/api/voice/jobs/{job['id']}/audio").content == audio.content


@pytest.mark.parametrize(
    ("preference", "applied"),
    [
        ("wait=5", "wait=5"),
        ("Wait=5", "wait=5"),
        ('respond-async, wait="5"; foo=bar', "wait=5"),
        ("wait=500", "wait=120"),
        ("wait=99999999999999999999999999", "wait=120"),
        ("wait=007", "wait=7"),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait", None),
        ("wait=1.5", None),
        ("handling=lenient", None),
        ('handling=lenient; x="a,wait=9", wait=2', "wait=2"),
        ('foo="a, wait=7", respond-async', None),
    ],
)
def test_a_preference_is_applied_or_ignored(http, preference, applied):
    answer = http.post(SYNTHESIZE, json={"text": fresh()}, headers={"Prefer": preference})
    assert answer.status_code == (200 if applied else 202)
    assert answer.headers.get("Preference-Applied") == applied


def test_a_compressed_body_is_not_taken(http):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    content = gzip.compress(json.dumps({"text": fresh()}).encode())
    is_problem(http.post(SYNTHESIZE, content=content, headers=headers), 415, "unsupported_media_type")


def test_a_preference_not_to_wait_is_applied(http):
    answer = http.post(SYNTHESIZE, json={"text": fresh()}, headers={"Prefer": "wait=0"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=0")


@pytest.mark.parametrize(("wait", "status"), [("5", 200), ("999", 200), ("9" * 30, 200), ("0", 202)])
def test_waiting_can_be_asked_for_in_the_query_which_goes_before_the_header(http, wait, status):
    headers = {"Prefer": "wait=1"}
    answer = http.post(SYNTHESIZE, params={"wait": wait}, json={"text": fresh()}, headers=headers)
    assert answer.status_code == status
    assert answer.headers["Preference-Applied"] == f"wait={min(int(wait), 120)}"


@pytest.mark.parametrize("wait", ["", "-1", "1.5", "soon", "1e3"])
def test_an_invalid_wait_in_the_query_is_refused(http, wait):
    is_problem(http.post(SYNTHESIZE, params={"wait": wait}, json={"text": "Hi"}), 422, "invalid_request")


def test_twenty_identical_requests_at_once_make_one_synthesis(http, farm):
    text = fresh("Twenty people ask for this at once, and it is long enough to be shared. " * 3)
    before = http.get("/api/voice/cache/stats").json()["cache"]
    with farm.client() as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: speak(client, text), range(20)))
    after = http.get("/api/voice/cache/stats").json()["cache"]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    statuses = [answer.headers["X-Cache-Status"] for answer in answers]
    assert statuses.count("MISS") == 1
    assert after["sets"] - before["sets"] == 1
    assert after["coalesced"] - before["coalesced"] == statuses.count("COALESCED")
    assert after["hits"] - before["hits"] == statuses.count("HIT")


# Audio by its key


def test_audio_can_be_had_again_by_its_key(http, speaker):
    spoken = speak(http, fresh())
    url = spoken.headers["Content-Location"]
    assert re.fullmatch(r"/api/voice/audio/[0-9a-f]{64}", url)
    answer = speaker.get(url)
    assert answer.content == spoken.content
    for name in ("ETag", "Content-Type", "X-Provider", "X-Duration-MS", "X-Sample-Rate", "X-Degraded"):
        assert answer.headers[name] == spoken.headers[name]
    policy = re.fullmatch(r"private, max-age=(\d+)", answer.headers["Cache-Control"])
    assert 0 < int(policy[1]) <= 7 * 86_400


def test_head_says_the_same_without_the_audio(http):
    url = speak(http, fresh()).headers["Content-Location"]
    full, head = http.get(url), http.head(url)
    assert head.content == b""
    assert head.headers["Content-Length"] == str(len(full.content))
    assert head.headers["ETag"] == full.headers["ETag"]


def test_what_the_caller_has_is_not_sent_again(http):
    answer = speak(http, fresh())
    same = http.get(answer.headers["Content-Location"], headers={"If-None-Match": answer.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    other = http.get(answer.headers["Content-Location"], headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("wanted", "piece"),
    [
        ("bytes=0-9", slice(10)),
        ("bytes=40-", slice(40, None)),
        ("bytes=-7", slice(-7, None)),
        ("bytes=-99999999", slice(None)),
        ("bytes=0-99999999", slice(None)),
    ],
)
def test_a_range_is_answered_with_that_piece(http, wanted, piece):
    spoken = speak(http, fresh())
    answer = http.get(spoken.headers["Content-Location"], headers={"Range": wanted})
    assert answer.status_code == 206
    assert answer.content == spoken.content[piece]
    assert answer.headers["Content-Range"].endswith(f"/{len(spoken.content)}")


@pytest.mark.parametrize(
    "wanted",
    [
        *("items=0-5", "bytes=0-1,4-5", "bytes=0-1,-0", "bytes=5-1", "bytes=0 - 1", "bytes=+1-2"),
        *("bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=1", "bytes=a-b", "bytes=0-1x", "bytes 0-1"),
    ],
)
def test_a_range_that_is_not_one_piece_of_bytes_is_ignored(http, wanted):
    spoken = speak(http, fresh())
    answer = http.get(spoken.headers["Content-Location"], headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, spoken.content)


def test_conditions_go_before_ranges(http):
    spoken = speak(http, fresh())
    url, etag = spoken.headers["Content-Location"], spoken.headers["ETag"]
    piece = {"Range": "bytes=0-9"}
    assert http.get(url, headers=piece | {"If-None-Match": etag}).status_code == 304
    assert http.get(url, headers=piece | {"If-Range": etag}).status_code == 206
    assert http.get(url, headers=piece | {"If-Range": '"other"'}).status_code == 200
    assert http.head(url, headers=piece).status_code == 200
    is_problem(http.get(url, headers={"If-Match": '"other"'}), 412, "precondition_failed")


@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=99999999-99999999", "bytes=-0", "bytes=-000"])
def test_a_range_of_which_nothing_is_there_is_refused(http, wanted):
    spoken = speak(http, fresh())
    answer = http.get(spoken.headers["Content-Location"], headers={"Range": wanted})
    is_problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(spoken.content)}"


def test_numbers_of_a_range_may_be_of_any_length(http):
    spoken = speak(http, fresh())
    url, digits = spoken.headers["Content-Location"], "9" * 5000
    assert http.get(url, headers={"Range": f"bytes=1-{digits}"}).content == spoken.content[1:]
    assert http.get(url, headers={"Range": f"bytes=-{digits}"}).status_code == 206
    assert http.get(url, headers={"Range": f"bytes={digits}-"}).status_code == 416
    assert http.get(url, headers={"Range": f"bytes=2-{digits}1,"}).content == spoken.content[2:]
    assert http.get(url, headers={"Range": "Bytes=, 00-000001 ,"}).content == spoken.content[:2]
    assert http.get(url, headers={"Range": f"bytes={digits}-1"}).status_code == 200


# The cache, and what must be true at once


def test_clearing_takes_effect_at_once_and_keeps_the_statistics(http):
    text = fresh()
    url = speak(http, text).headers["Content-Location"]
    before = http.get("/api/voice/cache/stats").json()["cache"]
    answer = http.delete("/api/voice/cache/clear").json()
    assert (answer["success"], answer["deleted_entries"]) == (True, before["entries"])
    after = http.get("/api/voice/cache/stats").json()["cache"]
    assert (after["entries"], after["bytes"], after["sets"]) == (0, 0, before["sets"])
    is_problem(http.get(url), 404, "not_found")
    assert speak(http, text).headers["X-Cache-Status"] == "MISS"


def test_one_personalitys_audio_can_be_cleared(http):
    text = fresh()
    http.delete(f"/api/voice/personalities/{ZAC}/cache")
    mine, others = speak(http, text, personality_id=ZAC), speak(http, text, personality_id=SHANTE)
    answer = http.delete(f"/api/voice/personalities/{ZAC}/cache").json()
    assert (answer["success"], answer["personality_id"], answer["deleted_entries"]) == (True, ZAC, 1)
    assert answer["message"]
    assert http.get(mine.headers["Content-Location"]).status_code == 404
    assert http.get(others.headers["Content-Location"]).status_code == 200
    is_problem(http.delete(f"/api/voice/personalities/{uuid.uuid4()}/cache"), 404, "not_found")
    is_problem(http.delete("/api/voice/personalities/zac/cache"), 404, "not_found")


def test_an_entry_that_cannot_be_read_is_a_miss(http, farm):
    text = fresh()
    url = speak(http, text).headers["Content-Location"]
    farm.redis.client(2).set(f"voice:metadata:{url.rpartition('/')[2]}", "garbage")
    is_problem(http.get(url), 404, "not_found")
    assert speak(http, text).headers["X-Cache-Status"] == "MISS"
    assert speak(http, text).headers["X-Cache-Status"] == "HIT"


def test_twenty_hits_of_megabytes_at_once_are_twenty_hits(http, farm):
    text = fresh("This is read slowly, so that it comes to megabytes of sound. " * 16)
    spoken = speak(http, text, speed=0.5)
    assert len(spoken.content) > 5_000_000
    before = http.get("/api/voice/cache/stats").json()["cache"]
    with farm.client() as client, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: speak(client, text, speed=0.5), range(20)))
    after = http.get("/api/voice/cache/stats").json()["cache"]
    assert [answer.headers["X-Cache-Status"] for answer in answers] == ["HIT"] * 20
    assert {answer.content == spoken.content for answer in answers} == {True}
    assert after["hits"] - before["hits"] == 20


def test_statistics_add_up(http):
    stats = http.get("/api/voice/cache/stats").json()
    cache = stats["cache"]
    assert stats["success"] is True
    assert cache["enabled"] is True
    assert cache["total_requests"] == cache["hits"] + cache["misses"] + cache["coalesced"]
    assert cache["hit_rate"] == pytest.approx(100 * cache["hits"] / cache["total_requests"], abs=0.01)


def test_the_status_tells_of_every_provider_that_a_request_may_name(http):
    speak(http, fresh())
    answer = http.get("/api/voice/providers/status").json()
    assert answer["success"] is True
    assert set(answer["providers"]) >= {"xtts_v2", "styletts2", "google_tts", "piper", "espeak"}
    espeak = answer["providers"]["espeak"]
    assert (espeak["enabled"], espeak["available"], espeak["reason"]) == (True, True, None)
    assert (espeak["workers"], espeak["device"], espeak["circuit"]) == (1, "cpu", "closed")
    assert (espeak["queue_depth"], espeak["cost"]) == (0, 0)
    assert 0 < espeak["latency_ms"]["p50"] <= espeak["latency_ms"]["p95"]
    assert espeak["requests"] >= 1
    assert espeak["real_time_factor"] > 0
    styletts2 = answer["providers"]["styletts2"]
    assert (styletts2["enabled"], styletts2["available"], styletts2["workers"]) == (False, False, 0)
    assert styletts2["reason"]
    assert "voicefarm models pull en_US-amy-medium" in answer["providers"]["piper"]["reason"]
    assert styletts2["latency_ms"] == {"p50": None, "p95": None}
    for total, field in (("total_requests", "requests"), ("total_cost", "cost")):
        assert answer[total] == sum(provider[field] for provider in answer["providers"].values())


def test_a_deactivated_personality_is_not_even_heard_from_the_cache(http, personalities):
    text = fresh()
    url = speak(http, text, personality_id=ZAC).headers["Content-Location"]
    personalities.change(ZAC, setting(is_active=False))
    try:
        is_problem(speak(http, text, personality_id=ZAC), 404, "not_found")
        is_problem(http.get(url), 404, "not_found")
    finally:
        personalities.change(ZAC, setting(is_active=True))
    assert speak(http, text, personality_id=ZAC).headers["X-Cache-Status"] == "HIT"


def test_audio_of_an_older_voice_is_gone(http, personalities):
    text = fresh()
    url = speak(http, text, personality_id=ZAC).headers["Content-Location"]
    voice = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "m4"}})))
    try:
        is_problem(http.get(url), 404, "not_found")
        assert speak(http, text, personality_id=ZAC).headers["X-Cache-Status"] == "MISS"
    finally:
        personalities.change(ZAC, setting(voice_config=voice))


def test_a_revoked_key_does_not_even_get_hits(farm, keys):
    key, secret = keys.create(Scope.SPEAK, "short-lived")
    text = fresh()
    with farm.client() as client:
        client.headers["Authorization"] = f"Bearer {secret}"
        assert speak(client, text).status_code == 200
        keys.revoke(key.id)
        is_problem(speak(client, text), 401, "unauthorized")


# Personalities, health


def test_the_example_personalities_are_listed(http):
    listed = http.get("/api/voice/personalities").json()
    assert listed["next_cursor"] is None
    by_name = {item["name"]: item for item in listed["items"]}
    assert {name: by_name[name]["id"] for name in ("marcel", "shante", "zac")} == {
        "marcel": MARCEL, "shante": SHANTE, "zac": ZAC,
    }  # fmt: skip
    assert [name for name, item in by_name.items() if item["is_default"]] == ["marcel"]
    assert http.get(f"/api/voice/personalities/{MARCEL}").json() == by_name["marcel"]
    assert TIME.fullmatch(by_name["marcel"]["created_at"])


def test_lists_come_in_pages(http):
    names, cursor = [], ""
    while cursor is not None:
        page = http.get("/api/voice/personalities", params={"limit": 2, "cursor": cursor}).json()
        assert len(page["items"]) <= 2
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == sorted({*names, "marcel", "shante", "zac"})
    for limit in ("0", "201", "-1", "x"):
        is_problem(http.get("/api/voice/personalities", params={"limit": limit}), 422, "invalid_request")


LISTS = ["/api/voice/jobs", "/api/voice/personalities", "/api/voice/keys"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.usefixtures("speaker")
def test_a_cursor_that_this_list_did_not_give_is_refused(http, path):
    for _ in range(2):
        http.post("/api/voice/jobs", json={"text": fresh()})
    given = {each: http.get(each, params={"limit": 1}).json()["next_cursor"] for each in LISTS}
    own = given.pop(path)
    assert http.get(path, params={"limit": 1, "cursor": own}).status_code == 200
    invented = ("UNKNOWN", "marcel", MARCEL, "1", "\x00", "é", "=", f"{own}=", f" {own}", own[:-2])
    for cursor in (*given.values(), *invented):
        problem = is_problem(http.get(path, params={"cursor": cursor}), 422, "invalid_request")
        assert [error["field"] for error in problem["errors"]] == ["cursor"]


@pytest.mark.parametrize("path", LISTS)
def test_parameters_that_a_list_does_not_know_are_named(http, path):
    answer = http.get(path, params={"limit": 1, "page": 2, "Cursor": ""})
    problem = is_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["Cursor", "page"]
    assert all("limit" in error["message"] for error in problem["errors"])


@pytest.mark.parametrize("path", [SYNTHESIZE, *LISTS])
def test_parameters_that_a_new_thing_does_not_know_are_named(http, path):
    query = {"wiat": "5"} if path == SYNTHESIZE else {"wait": "abc"}
    problem = is_problem(http.post(path, params=query, json={"text": "Hi"}), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == list(query)


def test_who_has_no_key_is_not_told_of_parameters(http):
    http.headers.pop("Authorization")
    is_problem(http.get(LISTS[0], params={"page": 2}), 401, "unauthorized")


def test_other_addresses_mind_no_parameter_that_makes_an_address_new(http):
    url = speak(http, fresh()).headers["Content-Location"]
    for path in (url, "/healthz", f"/api/voice/personalities/{MARCEL}"):
        assert http.get(path, params={"_": "1"}).status_code == 200


def test_health_and_readiness_are_told(http):
    assert http.get("/healthz").json()["status"] == "ok"
    assert http.get("/readyz").json() == {"status": "ready", "reasons": []}
