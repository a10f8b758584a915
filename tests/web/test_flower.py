"""`GET /api/voice/flower`: admins learn where Flower is, and nobody else does."""

from __future__ import annotations

import pytest

from shared.cli.migrate import migrate
from shared.errors import SettingsError
from shared.farm import Farm
from shared.scopes import Scope
from shared.settings import Settings
from web import create_app

URL = "http://127.0.0.1:5555"


@pytest.fixture
def ask(redis_server, tmp_path):
    """Ask a farm with these settings, with a key of this scope."""

    def ask(scope=Scope.ADMIN, **environment):
        settings = Settings.load(
            REDIS_HOST="127.0.0.1",
            REDIS_PORT=str(redis_server.port),
            VOICEFARM_STATE_DIR=str(tmp_path),
            **environment,
        )
        migrate(settings)
        farm = Farm.from_settings(settings)
        _, secret = farm.keys.create(scope, "somebody")
        client = create_app(farm=farm).test_client()
        return client.get("/api/voice/flower", headers={"Authorization": f"Bearer {secret}"})

    return ask


@pytest.mark.parametrize(
    ("sign_in", "user", "password"),
    [
        ("admin:secret", "admin", "secret"),
        ("admin:se:cret,somebody:else", "admin", "se:cret"),
        ("", None, None),
    ],
)
def test_admins_learn_where_it_is_and_how_to_sign_in_and_nobody_keeps_it(ask, sign_in, user, password):
    answer = ask(VOICEFARM_FLOWER_URL=URL, FLOWER_BASIC_AUTH=sign_in)
    assert answer.json == {"success": True, "url": URL, "user": user, "password": password}
    assert answer.headers["Cache-Control"] == "no-store"


def test_nothing_is_told_of_a_flower_that_is_not_known(ask):
    answer = ask(FLOWER_BASIC_AUTH="admin:secret")
    assert answer.json == {"success": True, "url": None, "user": None, "password": None}


@pytest.mark.parametrize("scope", [Scope.SPEAK, Scope.MANAGE])
def test_others_learn_nothing(ask, scope):
    answer = ask(scope, VOICEFARM_FLOWER_URL=URL, FLOWER_BASIC_AUTH="admin:secret")
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "127.0.0.1:5555", "http://", "http://a b", "http://a?b"]
)
def test_an_address_is_one_that_a_page_may_link_to(url):
    with pytest.raises(SettingsError, match="VOICEFARM_FLOWER_URL"):
        Settings.load(VOICEFARM_FLOWER_URL=url)
