"""Google: what it is asked over either transport, what it costs, and what becomes of its failures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import exp2

import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions as api

from shared.errors import (
    CredentialsRefused,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ModelLoadFailed,
    ProviderError,
    QuotaExceeded,
    UtteranceRefused,
    VoiceNotFound,
)
from shared.settings import Settings
from shared.voices import Gender
from tests.google_server import HIGH_HZ, LOW_HZ, MAX_BYTES, SAMPLE_RATE_HZ, SECRET, running_google
from tests.workers.acoustics import fundamental_hz
from tests.workers.utterances import VOICED_TEXT, utterance
from workers.audio import is_audible, join
from workers.providers.google import GoogleProvider
from workers.providers.google_client import ERRORS, _translate

LONG_TEXT = "The farm speaks, and it is heard. " * 400


@pytest.fixture(scope="module")
def server():
    with running_google() as server:
        yield server


@pytest.fixture
def google(server):
    """The server, with nothing told to it and nothing asked of it."""
    server.reset()
    return server


def provider_of(google, transport="grpc", **settings):
    endpoint = google.endpoint(transport)
    return GoogleProvider.from_settings(
        Settings.load(VOICEFARM_GOOGLE_ENDPOINT=endpoint, VOICEFARM_GOOGLE_TRANSPORT=transport, **settings)
    )


@pytest.fixture(scope="module", params=["grpc", "rest"])
def transport(request):
    return request.param


@pytest.fixture
def provider(google, transport):
    return provider_of(google, transport)


def say(provider, text=VOICED_TEXT, voice=None, **fields):
    voices = {} if voice is None else {"google_tts": voice}
    return join(provider.synthesize(utterance(text, voices=voices, **fields)))


def test_speech_comes_without_a_trace_of_the_files_header(provider):
    spoken = say(provider)
    assert spoken.sample_rate_hz == SAMPLE_RATE_HZ
    assert np.abs(spoken.samples[:40]).max() < 0.7, "a header read as samples is as loud as can be"
    assert fundamental_hz(spoken) == pytest.approx(HIGH_HZ, rel=0.03)


def test_a_long_text_is_one_chunk_a_request_and_nothing_of_it_is_lost(google, provider):
    chunks = list(provider.synthesize(utterance(LONG_TEXT)))
    assert len(chunks) == len(google.texts) == 3
    assert "".join(google.texts) == LONG_TEXT
    assert max(len(text.encode()) for text in google.texts) <= MAX_BYTES
    assert all(is_audible(chunk) for chunk in chunks)
    assert {chunk.sample_rate_hz for chunk in chunks} == {SAMPLE_RATE_HZ}


def test_the_first_chunk_does_not_wait_for_the_second_request(google, provider):
    chunks = provider.synthesize(utterance(LONG_TEXT))
    assert is_audible(next(chunks))
    assert len(google.requests) == 1
    chunks.close()


@pytest.mark.parametrize(
    ("fields", "rate", "pitch"),
    [
        ({}, 0.0, 0.0),
        ({"speed": 0.25, "pitch": -20.0}, 0.25, -20.0),
        ({"speed": 1.3, "pitch": 2.5}, 1.3, 2.5),
        ({"speed": 2.0, "pitch": 20.0}, 2.0, 20.0),
        ({"speed": 4.0}, 2.0, 0.0),
        ({"speed": 1.3, "pitch": 2.5, "voice": "en-US-Chirp3-HD-Charon"}, 1.3, 0.0),
        ({"speed": 1.3, "pitch": 2.5, "voice": "en-US-Studio-O"}, 1.3, 0.0),
        ({"speed": 1.3, "pitch": 2.5, "voice": "en-US-Chirp-HD-D"}, 0.0, 0.0),
    ],
)
def test_google_changes_speed_and_pitch_as_far_as_the_voice_can_and_the_rest_is_stretched(
    google, provider, fields, rate, pitch
):
    plain = say(provider, voice=fields.get("voice"))
    changed = say(provider, **fields)
    how = google.requests[-1].audio_config
    assert (how.speaking_rate, how.pitch) == (rate, pitch)
    speed, ratio = fields.get("speed", 1.0), exp2(fields.get("pitch", 0.0) / 12)
    assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.01)
    assert fundamental_hz(changed, transposed=ratio) == pytest.approx(fundamental_hz(plain) * ratio, rel=0.03)


@pytest.mark.parametrize(
    ("fields", "voice", "language"),
    [
        ({"language": "en"}, "en-US-Neural2-C", "en-US"),
        ({"language": "en-US", "gender": Gender.MALE}, "en-US-Neural2-D", "en-US"),
        ({"language": "en-AU", "gender": Gender.FEMALE}, "en-GB-Neural2-A", "en-GB"),
        ({"language": "zh-CN"}, "cmn-CN-Standard-A", "cmn-CN"),
        ({"voice": "en-GB-Neural2-B", "language": "en"}, "en-GB-Neural2-B", "en-GB"),
        ({"voice": "en-US-Standard-B", "language": "en"}, "en-US-Standard-B", "en-US"),
        ({"voice": "nl-NL-Wavenet-B", "language": "nl"}, "nl-NL-Wavenet-B", "nl-NL"),
        ({"voice": "en-US-Neural2-D", "language": "de"}, "de-DE-Neural2-H", "de-DE"),
    ],
)
def test_a_voice_is_chosen_by_name_language_and_gender(google, provider, fields, voice, language):
    say(provider, **fields)
    [request] = google.requests
    assert (request.voice.name, request.voice.language_code) == (voice, language)


def test_a_voice_that_only_google_can_know_not_to_exist_is_not_found(google, provider):
    with pytest.raises(VoiceNotFound, match="'en-US-Neural2-Z'"):
        say(provider, voice="en-US-Neural2-Z")
    assert len(google.requests) == 1


@pytest.mark.parametrize(
    "voice", ["en-US", "en-US-Neural2", "en-us-neural2-c", " en-US-Neural2-C", "en-US-Neural2-C\n", "C"]
)
def test_what_cannot_be_a_voice_is_not_even_asked_for(google, provider, voice):
    for call in (lambda: say(provider, voice=voice), lambda: price(provider, voice)):
        with pytest.raises(VoiceNotFound, match="en-US-Neural2-C"):
            call()
    assert google.requests == []


def test_a_language_that_the_table_lacks_is_not_spoken_in_english(google, provider):
    with pytest.raises(VoiceNotFound, match="'sw'"):
        say(provider, "Habari ya asubuhi.", language="sw")
    assert google.requests == []


def test_the_table_of_voices_can_be_replaced(google, transport, monkeypatch):
    monkeypatch.setenv("VOICEFARM_GOOGLE_VOICES", '{"en-US": {"en-US-Standard-B": "male"}}')
    replaced = provider_of(google, transport)
    assert fundamental_hz(say(replaced)) == pytest.approx(LOW_HZ, rel=0.03)
    with pytest.raises(VoiceNotFound):
        say(replaced, language="de")


def price(provider, voice=None, text="a" * 1_000_000, **fields):
    voices = {"google_tts": voice} if voice else {}
    return provider.price_usd(utterance(text, voices=voices, **fields))


@pytest.mark.parametrize(
    ("voice", "usd"),
    [
        (None, 16.0),
        ("cmn-CN-Standard-A", 16.0),  # speaks no English
        ("en-US-Standard-B", 4.0),
        ("en-US-Wavenet-A", 4.0),
        ("en-US-Chirp3-HD-Kore", 30.0),
        ("en-US-Studio-O", 160.0),
        ("en-US-Marvel-A", 160.0),
    ],
)
def test_a_million_characters_cost_what_their_class_of_voice_costs(google, voice, usd):
    assert price(provider_of(google), voice) == pytest.approx(usd)


def test_spaces_and_every_other_character_cost_the_same_whatever_their_bytes(google):
    assert price(provider_of(google), text=" \n\n東x") == pytest.approx(5 * 16 / 1_000_000)


def test_prices_can_be_set(google, monkeypatch):
    monkeypatch.setenv("VOICEFARM_GOOGLE_PRICES", json.dumps({"Neural2": 10, "Marvel": 1}))
    set_so = provider_of(google)
    assert price(set_so) == pytest.approx(10.0)
    assert price(set_so, "en-US-Marvel-A") == pytest.approx(1.0)
    assert price(set_so, "en-US-Standard-B") == pytest.approx(4.0)


@pytest.mark.parametrize("status", ["UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"])
def test_what_fails_for_a_moment_is_tried_again(google, provider, status):
    google.fail(status, times=2)
    assert is_audible(say(provider))
    assert len(google.requests) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("RESOURCE_EXHAUSTED", QuotaExceeded),
        ("UNAVAILABLE", EngineUnavailable),
        ("INTERNAL", EngineUnavailable),
        ("DEADLINE_EXCEEDED", EngineTimeout),
    ],
)
def test_what_goes_on_failing_is_told_for_what_it_is_once_there_is_no_time_left(
    google, transport, status, error
):
    google.fail(status)
    with pytest.raises(error) as failure:
        say(provider_of(google, transport, VOICEFARM_GOOGLE_TIMEOUT_SECONDS="1"))
    assert len(google.requests) > 1
    assert_discreet(failure.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("UNAUTHENTICATED", CredentialsRefused),
        ("PERMISSION_DENIED", CredentialsRefused),
        ("INVALID_ARGUMENT", UtteranceRefused),
        ("NOT_FOUND", EngineFailed),
    ],
)
def test_what_cannot_get_better_is_not_tried_again(google, provider, status, error):
    google.fail(status)
    with pytest.raises(error) as failure:
        say(provider)
    assert type(failure.value) is error
    assert len(google.requests) == 1
    assert_discreet(failure.value)


def assert_discreet(error):
    """Nothing of what Google said is passed on."""
    assert not set(SECRET.split()) & set(error.detail.split())


def test_no_answer_in_time_is_a_timeout(google, transport):
    google.is_open.clear()
    with pytest.raises(EngineTimeout):
        say(provider_of(google, transport, VOICEFARM_GOOGLE_TIMEOUT_SECONDS="0.5"))
    assert len(google.requests) == 1


def test_all_parts_together_have_the_time_of_a_synthesis(google, transport):
    settings = {"VOICEFARM_GOOGLE_TIMEOUT_SECONDS": "600", "VOICEFARM_SYNTHESIS_TIMEOUT_SECONDS": "5"}
    chunks = provider_of(google, transport, **settings).synthesize(utterance(LONG_TEXT))
    next(chunks)
    google.is_open.clear()
    with pytest.raises(EngineTimeout):
        next(chunks)


def test_where_nobody_listens_google_is_unavailable(transport):
    with running_google() as gone:
        provider = provider_of(gone, transport, VOICEFARM_GOOGLE_TIMEOUT_SECONDS="1")
    with pytest.raises(EngineUnavailable):
        say(provider)


@pytest.mark.parametrize("sound", [b"", b"RIFF", b"\0" * 1000])
def test_an_answer_that_is_no_sound_is_a_failure(google, provider, sound):
    google.sound = sound
    with pytest.raises(EngineFailed):
        say(provider)


def test_every_error_of_the_library_has_a_word_of_the_farms():
    def descendants(kind):
        return {kind, *(found for child in kind.__subclasses__() for found in descendants(child))}

    for kind in descendants(api.GoogleAPICallError):
        assert isinstance(_translate(kind("x"), "en-US-Neural2-C"), ProviderError)
    kinds = list(ERRORS)
    for number, kind in enumerate(kinds):
        assert not any(issubclass(kind, earlier) for earlier in kinds[:number]), "it would never be found"


def test_threads_share_a_provider(google, provider):
    provider.load()
    texts = [f"{VOICED_TEXT} Number {number}." for number in range(16)]
    alone = [say(provider, text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda text: say(provider, text), texts))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.samples, other.samples)
    assert sorted(google.texts) == sorted(texts * 2)


def test_without_credentials_it_says_what_to_set(google):
    provider = GoogleProvider.from_settings(Settings.load())
    for attempt in (provider.load, lambda: say(provider)):
        with pytest.raises(ModelLoadFailed, match="Set GOOGLE_APPLICATION_CREDENTIALS"):
            attempt()
    assert google.requests == []


def settings_with(tmp_path, credentials, **settings):
    file = tmp_path / "credentials.json"
    file.write_text(json.dumps(credentials))
    return Settings.load(
        GOOGLE_APPLICATION_CREDENTIALS=str(file),
        VOICEFARM_GOOGLE_TRANSPORT="rest",
        VOICEFARM_GOOGLE_ENDPOINT="localhost:1",
        VOICEFARM_GOOGLE_TIMEOUT_SECONDS="1",
        **settings,
    )


def service_account():
    """A service account with a real key, which nobody knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "client_email": "farm@example.test",
        "private_key_id": "1",
        "private_key": key.decode(),
        "token_uri": "https://localhost:1/token",
    }


def test_credentials_are_read_and_used_for_an_endpoint_of_googles(tmp_path):
    provider = GoogleProvider.from_settings(settings_with(tmp_path, service_account()))
    provider.load()
    with pytest.raises(EngineUnavailable):
        say(provider)


class _TokenServer(BaseHTTPRequestHandler):
    """Where credentials are exchanged for a token; it gives none."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"error": "invalid_grant", "error_description": SECRET}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def token_url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), _TokenServer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/token"
    server.shutdown()
    server.server_close()
    thread.join()


def test_credentials_that_get_no_token_any_more_are_refused(tmp_path, token_url, monkeypatch):
    # A user's file does not say where tokens are, so the library's own word for it is changed.
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", token_url)
    user = {"type": "authorized_user", "client_id": "1", "client_secret": "2", "refresh_token": "3"}
    provider = GoogleProvider.from_settings(settings_with(tmp_path, user))
    provider.load()
    with pytest.raises(CredentialsRefused) as failure:
        say(provider)
    assert_discreet(failure.value)


@pytest.mark.parametrize("change", [{"private_key": "no key"}, {"type": "no_such_type"}])
def test_credentials_of_which_nothing_can_be_made_cannot_be_loaded(tmp_path, change):
    provider = GoogleProvider.from_settings(settings_with(tmp_path, service_account() | change))
    with pytest.raises(ModelLoadFailed, match="cannot be used") as failure:
        provider.load()
    assert str(tmp_path) not in failure.value.detail


def test_googles_library_is_imported_by_load_and_by_nothing_before():
    program = (
        "import sys, workers.providers.google, shared.catalog\n"
        "shared.catalog.CATALOG['google_tts'].is_installed()\n"
        "assert not {'grpc', 'google.auth', 'google.cloud.texttospeech'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
