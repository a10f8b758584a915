"""Who gets in: by key, or by the dashboard's cookie from the dashboard's own page only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.scopes import Scope
from shared.sessions import issue_code
from shared.settings import Settings
from web import create_app

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

CLEAR = "/api/voice/cache/clear"
HOST = "http://localhost:8000"


@pytest.fixture
def farm(redis_server, tmp_path) -> Farm:
    settings = Settings.load(
        REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis_server.port), VOICEFARM_STATE_DIR=str(tmp_path)
    )
    migrate(settings)
    return Farm.from_settings(settings)


@pytest.fixture
def app(farm) -> Flask:
    return create_app(farm=farm)


@pytest.fixture
def browser(app, farm) -> FlaskClient:
    """A client with the dashboard's cookie and no key."""
    client = app.test_client()
    client.get(f"/?code={issue_code(farm.state)}", base_url=HOST)
    return client


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": HOST, "Sec-Fetch-Site": "same-origin"},
        {"Origin": HOST},  # an older browser, or one that does not trust the address
        {"Sec-Fetch-Site": "same-origin"},
        {},  # no browser
    ],
)
def test_the_pages_own_requests_change_things(browser, sent):
    assert browser.delete(CLEAR, base_url=HOST, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost"},
        {"Origin": f"{HOST}.elsewhere.example"},
        {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": HOST, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_what_another_page_sends_with_the_cookie_changes_nothing(browser, sent):
    answer = browser.delete(CLEAR, base_url=HOST, headers=sent)
    assert (answer.status_code, answer.json["code"]) == (403, "forbidden")


def test_a_key_is_sent_on_purpose_and_so_good_from_anywhere(app, farm):
    _, secret = farm.keys.create(Scope.ADMIN, "script")
    headers = {"Authorization": f"Bearer {secret}", "Origin": "https://elsewhere.example"}
    assert app.test_client().delete(CLEAR, headers=headers).status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(app, farm):
    client = app.test_client()
    for base_url, is_secure in ((HOST, False), ("https://farm.example", True)):
        answer = client.get(f"/?code={issue_code(farm.state)}", base_url=base_url)
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert ("Secure" in cookie.split("; ")) is is_secure
        assert "Domain" not in cookie


def test_a_wrong_key_does_not_fall_back_on_the_cookie(browser):
    answer = browser.delete(CLEAR, base_url=HOST, headers={"Authorization": f"Bearer {'x' * 43}"})
    assert answer.status_code == 401


def test_each_use_of_a_key_is_noted_and_a_refused_one_is_not(app, farm):
    key, secret = farm.keys.create(Scope.SPEAK, "script")
    client = app.test_client()
    client.get("/api/voice/personalities", headers={"Authorization": f"Bearer {secret}x"})
    farm.directory.last_uses.flush()
    assert farm.keys.get(key.id).last_used_at is None
    client.get("/api/voice/personalities", headers={"Authorization": f"Bearer {secret}"})
    farm.directory.last_uses.flush()
    assert farm.keys.get(key.id).last_used_at is not None


def test_a_new_admins_key_ends_the_sessions_and_the_same_one_does_not(browser, farm):
    def start_with(key: str) -> int:
        migrate(farm.settings.model_copy(update={"admin_key": SecretStr(key * 32)}))
        return browser.get("/api/voice/keys", base_url=HOST).status_code

    assert start_with("a") == 401
    browser.get(f"/?code={issue_code(farm.state)}", base_url=HOST)
    assert start_with("a") == 200
    assert start_with("b") == 401
