"""`GET /api/voice/cache/history`: what the page draws its charts from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

from shared.cache import CacheHistory
from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.scopes import Scope
from shared.settings import Settings
from web import create_app

HISTORY = "/api/voice/cache/history"
BEGIN_S = 1_900_000_020


@pytest.fixture
def client(redis_server, tmp_path):
    """A client of a farm that had two hits, a miss and a joined request in one minute, and then none."""
    settings = Settings.load(
        REDIS_HOST="127.0.0.1", REDIS_PORT=str(redis_server.port), VOICEFARM_STATE_DIR=str(tmp_path)
    )
    migrate(settings)
    clock = iter([BEGIN_S, BEGIN_S + 60, BEGIN_S + 120, BEGIN_S + 121])
    farm = Farm.from_settings(settings)
    farm = replace(farm, cache_history=CacheHistory(farm.state, farm.cache, clock=lambda: next(clock)))
    farm.cache_history.once()
    for what in ("hits", "hits", "misses", "coalesced"):
        farm.cache.requests.count(what)
    farm.cache_history.once()
    farm.cache_history.once()
    _, secret = farm.keys.create(Scope.SPEAK, "charts")
    client = create_app(farm=farm).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return client


def test_it_tells_of_each_step_what_the_cache_did_as_the_document_says(client):
    answer = client.get(HISTORY, query_string={"hours": "1"})
    nothing = {"hits": 0, "misses": 0, "coalesced": 0, "hit_rate": None, "entries": 0, "bytes": 0}
    assert answer.json == {
        "success": True,
        "interval_seconds": 60,
        "points": [
            nothing
            | {"at": "2030-03-17T17:47:00.000Z", "hits": 2, "misses": 1, "coalesced": 1, "hit_rate": 50.0},
            nothing | {"at": "2030-03-17T17:48:00.000Z"},
        ],
    }
    document = client.get("/openapi.json").json
    schema = document["components"]["schemas"]["CacheHistory"]
    Draft202012Validator(schema | {"components": document["components"]}).validate(answer.json)


def test_it_is_of_the_last_day_where_nothing_is_said(client):
    answer = client.get(HISTORY)
    assert answer.json["interval_seconds"] == 300
    assert [point["hits"] for point in answer.json["points"]] == [2]


@pytest.mark.parametrize("hours", ["0", "721", "", "1.5", "-1", "9" * 400])
def test_how_far_back_is_bounded(client, hours):
    answer = client.get(HISTORY, query_string={"hours": hours})
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": "hours", "message": "must be a whole number from 1 to 720"}]


def test_nobody_sees_it_without_a_key(client):
    del client.environ_base["HTTP_AUTHORIZATION"]
    assert client.get(HISTORY).status_code == 401
