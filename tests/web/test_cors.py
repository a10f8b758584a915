"""Which pages of other origins may call the API, and what their browsers are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.cache import cache_key
from shared.cli.migrate import migrate
from shared.errors import SettingsError
from shared.farm import Farm
from shared.models import Audio, AudioFormat, SpeechRequest
from shared.resolution import resolve
from shared.scopes import Scope
from shared.settings import Settings
from web import create_app

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SYNTHESIZE, TEXT = "/api/voice/synthesize", "Spoken before."
APP, SHOP, STRANGER = "https://app.example.com", "http://shop.example:3000", "https://evil.example"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def client_of(redis_server, tmp_path):
    """Make clients of farms that allow these origins and have one text in the cache; each with a key."""

    def client_of(origins: str) -> FlaskClient:
        settings = Settings.load(
            REDIS_HOST="127.0.0.1",
            REDIS_PORT=str(redis_server.port),
            VOICEFARM_STATE_DIR=str(tmp_path),
            VOICEFARM_CORS_ORIGINS=origins,
        )
        migrate(settings)
        farm = Farm.from_settings(settings)
        utterance = resolve(SpeechRequest(text=TEXT), farm.personalities.default())
        audio = Audio(b"RIFF", AudioFormat.WAV, "espeak", 1, 22_050, degraded=False)
        farm.cache.store(cache_key(utterance, farm.router.digest), utterance, audio)
        client = create_app(farm=farm).test_client()
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {farm.keys.create(Scope.SPEAK, 'page')[1]}"
        return client

    return client_of


def ask(client, origin):
    return client.post(SYNTHESIZE, json={"text": TEXT}, headers={"Origin": origin} if origin else {})


def preflight(client, origin, address=SYNTHESIZE):
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, prefer",
    }
    return client.options(address, headers={"Origin": origin, **asked})


@pytest.mark.parametrize("origin", [APP, SHOP])
def test_a_page_of_an_allowed_origin_may_ask_and_read_what_answers_tell(client_of, origin):
    client = client_of(f"{APP}, {SHOP}")
    before = preflight(client, origin)
    assert (before.status_code, before.headers[ALLOWED]) == (200, origin)
    sent = before.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "prefer"} <= set(sent)
    answer = ask(client, origin)
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, origin)
    readable = answer.headers["Access-Control-Expose-Headers"].split(", ")
    own = {name for name in dict(answer.headers) if name.startswith("X-")} - {"X-Content-Type-Options"}
    assert own | {"ETag", "Content-Location"} <= set(readable)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_hit_from_memory_is_for_the_page_that_asks(client_of):
    client = client_of(f"{APP},{SHOP}")
    for _ in range(2):  # made by the app, then from memory
        answers = [ask(client, origin) for origin in (APP, SHOP, STRANGER, None)]
        assert [answer.headers.get(ALLOWED) for answer in answers] == [APP, SHOP, None, None]
        assert {answer.headers["X-Cache-Status"] for answer in answers} == {"HIT"}
        assert all("Origin" in answer.headers["Vary"] for answer in answers[:2])


def test_refusals_can_be_read_too(client_of):
    client = client_of(APP)
    refused = client.post(SYNTHESIZE, json={"text": ""}, headers={"Origin": APP})
    assert (refused.status_code, refused.headers[ALLOWED]) == (422, APP)


def test_without_the_setting_no_other_page_may_ask(client_of):
    client = client_of("")
    assert ALLOWED not in preflight(client, APP).headers
    assert ALLOWED not in ask(client, APP).headers


def test_all_origins_may_be_allowed_but_only_for_the_api(client_of):
    client = client_of("*")
    assert ask(client, STRANGER).headers[ALLOWED] == "*"
    assert ALLOWED not in client.get("/", headers={"Origin": STRANGER}).headers


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "ftp://x", "https://.*"])
def test_what_is_no_origin_is_told(origin):
    with pytest.raises(SettingsError, match="VOICEFARM_CORS_ORIGINS"):
        Settings.load(VOICEFARM_CORS_ORIGINS=f"{APP},{origin}")
