"""Voice samples over HTTP: uploaded, replaced, had, removed, and what is no sample."""

from __future__ import annotations

import io
import socket
import threading
import uuid
from contextlib import suppress

import httpx
import pytest
import soundfile

from shared.scopes import Scope
from tests.integration.test_contract import fresh, is_problem, speak
from tests.integration.test_personalities import PERSONALITIES, make
from tests.shared.samples.sounds import encoded, silence, speech

WAV = encoded(speech())
CONSENT = {"consent": "true"}


@pytest.fixture
def ann(http):
    """The address of a personality that is gone afterwards."""
    url = make(http).headers["Location"]
    yield url
    http.delete(url)


def upload(http, who, audio=WAV, name="ann.wav", **data):
    return http.put(f"{who}/voice", files={"audio": (name, audio)}, data=CONSENT | data)


def stored(farm):
    folder = farm.folder / "samples"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def path_of(http, who):
    return http.get(who).json()["voice_config"]["sample_path"]


def test_a_sample_is_judged_kept_and_shown(http, farm, ann):
    is_problem(http.get(f"{ann}/voice"), 404, "not_found")
    answer = upload(http, ann)
    found = answer.json()
    assert answer.status_code == 200
    assert list(found) == [
        "score", "rating", "warnings", "duration_seconds", "sample_rate", "voice_revision",
    ]  # fmt: skip
    assert found["score"] >= 70
    assert found["rating"] in {"good", "excellent"}
    assert found["duration_seconds"] == pytest.approx(soundfile.info(io.BytesIO(WAV)).duration, abs=0.1)
    assert (found["sample_rate"], found["voice_revision"]) == (24_000, 2)
    shown = http.get(ann).json()
    assert shown["voice_revision"] == 2
    metadata = shown["voice_config"]["sample_metadata"]
    assert metadata.keys() == {
        "duration", "sample_rate", "channels", "bit_depth", "file_size_mb", "uploaded_at",
    }  # fmt: skip
    assert metadata["file_size_mb"] == pytest.approx(len(WAV) / 1e6, abs=0.05)
    assert path_of(http, ann) in stored(farm)
    sample = http.get(f"{ann}/voice")
    assert (sample.headers["Content-Type"], sample.headers["Cache-Control"]) == ("audio/wav", "no-store")
    kept = soundfile.info(io.BytesIO(sample.content))
    assert (kept.samplerate, kept.channels, kept.subtype) == (24_000, 1, "PCM_16")


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("MP3", None)])
def test_the_content_counts_and_the_name_does_not(http, ann, container, subtype):
    audio = encoded(speech(), container=container, subtype=subtype)
    assert upload(http, ann, audio, "../../etc/passwd\x00.exe").status_code == 200


def test_a_new_sample_replaces_the_old_one_and_removing_leaves_nothing(http, farm, ann):
    upload(http, ann)
    first = path_of(http, ann)
    assert upload(http, ann, encoded(speech(speed=1.1))).json()["voice_revision"] == 3
    second = path_of(http, ann)
    assert {first, second} & stored(farm) == {second}
    answer = http.delete(f"{ann}/voice")
    assert (answer.status_code, answer.content) == (204, b"")
    assert second not in stored(farm)
    shown = http.get(ann).json()
    assert shown["voice_revision"] == 4
    assert (shown["voice_config"]["sample_path"], shown["voice_config"]["sample_metadata"]) == (None, None)
    for method in ("GET", "DELETE"):
        is_problem(http.request(method, f"{ann}/voice"), 404, "not_found")


def test_changing_the_voice_configuration_keeps_the_sample(http, farm, ann):
    upload(http, ann)
    path = path_of(http, ann)
    http.patch(ann, json={"voice_config": {"voice_settings": {"pitch": 1}}})
    http.patch(ann, json={"voice_config": {"provider": None}})
    assert path_of(http, ann) == path
    http.delete(ann)
    assert path not in stored(farm)


def test_a_cloned_voice_needs_a_sample_and_somebody_who_clones(http, ann):
    who = ann.rpartition("/")[2]
    is_problem(speak(http, fresh(), personality_id=who, fallback="same_voice"), 422, "no_voice_sample")
    upload(http, ann)
    is_problem(speak(http, fresh(), personality_id=who, fallback="same_voice"), 503, "no_provider")
    http.delete(f"{ann}/voice")
    is_problem(speak(http, fresh(), personality_id=who, fallback="same_voice"), 422, "no_voice_sample")


def test_without_a_provider_that_clones_no_voice_is_held_in_memory_and_that_is_told(http, ann):
    lacks = is_problem(http.post(f"{ann}/voice/load"), 422, "no_voice_sample")
    assert [error["field"] for error in lacks["errors"]] == ["personality_id"]
    is_problem(http.get(f"{ann}/voice/load"), 422, "no_voice_sample")
    is_problem(http.post(f"{ann}/voice/load?now=1"), 422, "invalid_request")
    is_problem(http.delete(f"{ann}/voice/unload?provider=espeak"), 422, "invalid_request")
    upload(http, ann)
    loaded = http.post(f"{ann}/voice/load").json()
    assert (loaded["success"], loaded["providers_loaded"]) == (False, {"styletts2": False, "xtts_v2": False})
    assert (loaded["personality_id"], bool(loaded["message"])) == (ann.rpartition("/")[2], True)
    assert http.get(f"{ann}/voice/load").json() == loaded
    assert http.post(f"{ann}/voice/load?provider=xtts_v2").json()["providers_loaded"] == {"xtts_v2": False}
    unloaded = http.delete(f"{ann}/voice/unload").json()
    assert (unloaded["success"], set(unloaded["providers_unloaded"].values())) == (True, {False})
    assert unloaded["personality_name"] == loaded["personality_name"] == http.get(ann).json()["name"]
    nobody = "/api/voice/personalities/00000000-0000-0000-0000-000000000000/voice"
    is_problem(http.post(f"{nobody}/load"), 404, "not_found")
    is_problem(http.delete(f"{nobody}/unload"), 404, "not_found")


def test_only_who_may_manage_has_to_do_with_samples(http, farm, keys, speaker, ann):
    upload(http, ann)
    is_problem(speaker.get(f"{ann}/voice"), 403, "forbidden")
    is_problem(speaker.delete(f"{ann}/voice"), 403, "forbidden")
    is_problem(upload(speaker, ann), 403, "forbidden")
    _, secret = keys.create(Scope.MANAGE, "manager")
    with farm.client() as manager:
        manager.headers["Authorization"] = f"Bearer {secret}"
        assert upload(manager, ann).status_code == 200
        assert manager.get(f"{ann}/voice").status_code == 200
        assert manager.delete(f"{ann}/voice").status_code == 204


@pytest.mark.parametrize("who", [str(uuid.UUID(int=3)), "marcel"])
def test_nobody_has_no_voice(http, farm, who):
    before = stored(farm)
    url = f"{PERSONALITIES}/{who}"
    is_problem(upload(http, url), 404, "not_found")
    for method in ("GET", "DELETE"):
        is_problem(http.request(method, f"{url}/voice"), 404, "not_found")
    assert stored(farm) == before


# What is refused


def test_what_no_voice_can_be_cloned_from_is_refused_with_a_reason(http, farm, ann):
    before = stored(farm)
    for audio in (encoded(silence(10)), b"not audio at all", b"", WAV[:1000]):
        problem = is_problem(upload(http, ann, audio), 422, "bad_sample")
        assert len(problem["detail"]) > 20
    assert stored(farm) == before
    assert http.get(ann).json()["voice_revision"] == 1


AUDIO = ("audio", ("a.wav", WAV[:2000]))
REFUSED = [
    ([], CONSENT, ["audio"]),
    ([AUDIO], {}, ["consent"]),
    ([AUDIO], {"consent": "false"}, ["consent"]),
    ([AUDIO], {"consent": "True"}, ["consent"]),
    ([AUDIO], {"consent": ["true", "false"]}, ["consent"]),
    ([AUDIO, ("consent", ("c", b"true"))], {}, ["consent"]),
    ([AUDIO, AUDIO], CONSENT, ["audio"]),
    ([AUDIO, ("more", ("b.wav", b"RIFF"))], CONSENT, ["more"]),
    ([AUDIO], CONSENT | {"name": "Ann"}, ["name"]),
    ([("x", ("x", b""))], {"audio": "RIFF"}, ["audio", "consent", "x"]),
    ([("audio", (None, WAV * 2))], CONSENT, ["audio"]),
    ([("x", (None, b""))] * 20_000, CONSENT, [""]),
]


@pytest.mark.parametrize(("files", "data", "fields"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_form_that_is_not_as_it_should_be_is_refused_with_the_fields(http, ann, files, data, fields):
    # A file that is no part of the form makes httpx send a multipart form where there would be none.
    answer = http.put(
        f"{ann}/voice", files=files or [("consent", (None, "true"))], data=data if files else None
    )
    problem = is_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == fields


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "audio/wav",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=x",
    ],
)
def test_what_is_no_multipart_form_is_refused(http, ann, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = http.put(f"{ann}/voice", content=WAV, headers=headers)
    detail = is_problem(answer, 415, "unsupported_media_type")["detail"]
    assert "multipart/form-data" in detail


PART = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\nRIFF\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x\r\n\r\n\r\n",
        b"garbage" * 1000,
        b"--x\r\n" + b"A: b\r\n" * 5000,
        PART,
        PART[:-3],
        PART + b"--y--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n" + PART + b"--x--\r\n",
    ],
)
@pytest.mark.parametrize("parameter", ["", "; boundary=x"])
def test_a_form_that_is_broken_or_cut_off_is_refused(http, ann, parameter, body):
    headers = {"Content-Type": f"multipart/form-data{parameter}"}
    is_problem(http.put(f"{ann}/voice", content=body, headers=headers), 400, "bad_request")


def test_an_empty_form_lacks_its_fields(http, ann):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = http.put(f"{ann}/voice", content=b"--x--\r\n", headers=headers)
    problem = is_problem(answer, 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == ["audio", "consent"]


def test_a_file_above_10_mb_is_refused(http, farm, ann):
    before = stored(farm)
    is_problem(upload(http, ann, WAV + bytes(10_000_001 - len(WAV))), 413, "body_too_large")
    assert stored(farm) == before


def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(farm, ann):
    head = (
        f"PUT {ann}/voice HTTP/1.1\r\nHost: farm\r\nAuthorization: Bearer {farm.admin_key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99999999999\r\n\r\n"
    )
    assert first_line(farm, head.encode(), ()) == b"HTTP/1.1 413 Payload Too Large"


def test_a_body_without_a_length_and_an_end_is_cut_off(farm, ann):
    """It says nothing of its length and sends a file for as long as somebody listens."""
    head = (
        f"PUT {ann}/voice HTTP/1.1\r\nHost: farm\r\nAuthorization: Bearer {farm.admin_key}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    part = b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\n'
    chunk = b"%x\r\n%b\r\n" % (65_536, bytes(65_536))

    def chunks():
        yield b"%x\r\n%b\r\n" % (len(part), part)
        while True:
            yield chunk

    sent = []
    answer = first_line(farm, head.encode(), (sent.append(len(each)) or each for each in chunks()))
    assert answer == b"HTTP/1.1 413 Payload Too Large"
    assert sum(sent) < 40_000_000


def first_line(farm, head, body):
    """Send a request for as long as nothing is answered; gives the answer's first line."""
    url = httpx.URL(farm.url)
    with socket.create_connection((url.host, url.port), timeout=30) as connection:
        connection.sendall(head)
        answered = threading.Event()

        def send():
            for piece in body:
                if answered.is_set():
                    return
                try:
                    connection.sendall(piece)
                except OSError:
                    return

        sender = threading.Thread(target=send)
        sender.start()
        line = connection.makefile("rb").readline().rstrip()
        answered.set()
        with suppress(OSError):  # the farm may have hung up
            connection.shutdown(socket.SHUT_RDWR)
        sender.join()
        return line
