"""API keys over HTTP: made, listed, used, expired and revoked."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from shared.keys import ADMIN_ID
from shared.scopes import Scope
from tests.farm import until
from tests.integration.test_contract import TIME, UUID, fresh, is_problem, speak

KEYS = "/api/voice/keys"
AN_OPEN_DOOR = "/api/voice/personalities"


def soon(**span):
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def make(http, **fields):
    return http.post(KEYS, json={"name": "shop", "scope": "speak"} | fields)


def with_key(farm, secret):
    client = farm.client()
    client.headers["Authorization"] = f"Bearer {secret}"
    return client


def test_a_key_is_made_and_its_secret_told_once(http, farm):
    answer = make(http, name="  shop ", scope="manage")
    key = answer.json()
    secret = key.pop("secret")
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{KEYS}/{key['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert UUID.fullmatch(key["id"])
    assert TIME.fullmatch(key["created_at"])
    assert (key["name"], key["scope"]) == ("shop", "manage")
    assert (key["expires_at"], key["last_used_at"], key["revoked_at"]) == (None, None, None)
    assert secret.startswith(key["prefix"])
    assert http.get(answer.headers["Location"]).json() == key
    listing = http.get(KEYS, params={"limit": 1})
    assert listing.json()["items"] == [key]
    assert secret not in listing.text
    with with_key(farm, secret) as client:
        assert client.get(AN_OPEN_DOOR).status_code == 200
        is_problem(client.get(KEYS), 403, "forbidden")


def test_two_keys_may_have_one_name_but_not_one_secret(http):
    one, other = make(http).json(), make(http).json()
    assert one["name"] == other["name"]
    assert all(one[field] != other[field] for field in ("id", "secret", "prefix"))


def test_keys_come_in_pages_the_newest_first(http):
    made = [make(http, name=f"shop {n}").json()["id"] for n in range(5)]
    ids, cursor = [], ""
    while cursor is not None:
        page = http.get(KEYS, params={"limit": 2, "cursor": cursor}).json()
        assert len(page["items"]) <= 2
        ids += [key["id"] for key in page["items"]]
        cursor = page["next_cursor"]
    assert ids[:5] == made[::-1]
    assert len(ids) == len(set(ids))
    assert ADMIN_ID in ids
    everything = http.get(KEYS, params={"limit": 200}).json()
    assert ([key["id"] for key in everything["items"]], everything["next_cursor"]) == (ids, None)


@pytest.mark.parametrize(
    ("query", "field"), [({"limit": "0"}, "limit"), ({"limit": "201"}, "limit"), ({"cursor": "x"}, "cursor")]
)
def test_a_page_that_there_is_not_is_refused(http, query, field):
    problem = is_problem(http.get(KEYS, params=query), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": 5}, "name"),
        ({"scope": "root"}, "scope"),
        ({"scope": "ADMIN"}, "scope"),
        ({"scope": None}, "scope"),
        ({"scope": ["speak"]}, "scope"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2999-01-01"}, "expires_at"),
        ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2999-02-30T00:00:00Z"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-01:00"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": 4_000_000_000}, "expires_at"),
        ({"expires_at": ""}, "expires_at"),
        ({"secret": "x" * 40}, "secret"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_key_that_cannot_be_made_is_refused_with_the_field(http, fields, field):
    problem = is_problem(make(http, **fields), 422, "invalid_request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("unnamed", [{}, {"name": None}])
def test_a_key_without_a_name_is_called_by_its_scope(http, unnamed):
    made = http.post(KEYS, json={"scope": "manage"} | unnamed)
    assert (made.status_code, made.json()["name"]) == (201, "manage")


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'"speak"', b"{}", b'{"name": "\\ud800", "scope": "speak"}']
)
def test_a_body_that_describes_no_key_is_refused(http, body):
    answer = http.post(KEYS, content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, 422, "invalid_request")


def test_times_are_told_in_utc_with_milliseconds(http):
    key = make(http, expires_at="2999-01-01t02:00:00.1239999+02:00").json()
    assert key["expires_at"] == "2999-01-01T00:00:00.123Z"


def test_a_key_that_was_just_used_stops_when_it_expires(http, farm):
    text = fresh()
    assert speak(http, text).status_code == 200
    answer = make(http, expires_at=soon(seconds=3))
    with with_key(farm, answer.json()["secret"]) as client:
        for _ in range(3):
            assert speak(client, text).headers["X-Cache-Status"] == "HIT"
        until(lambda: speak(client, text).status_code == 401, "the key expires", 10)
        assert "expired" in is_problem(speak(client, text), 401, "unauthorized")["detail"]
    key = http.get(answer.headers["Location"]).json()
    assert key["expires_at"] <= soon()
    assert key["revoked_at"] is None


def test_a_revoked_key_opens_nothing_any_more_and_is_still_listed(http, farm):
    made = make(http)
    with with_key(farm, made.json()["secret"]) as client:
        assert client.get(AN_OPEN_DOOR).status_code == 200
        answer = http.delete(made.headers["Location"])
        assert answer.status_code == 200
        assert TIME.fullmatch(answer.json()["revoked_at"])
        is_problem(client.get(AN_OPEN_DOOR), 401, "unauthorized")
    assert http.delete(made.headers["Location"]).json() == answer.json(), "again is no error"
    assert answer.json() in http.get(KEYS, params={"limit": 200}).json()["items"]


@pytest.mark.parametrize("key_id", [str(uuid.UUID(int=3)), "shop", "1"])
def test_a_key_that_is_not_there_is_not_found(http, key_id):
    for method in ("GET", "DELETE"):
        is_problem(http.request(method, f"{KEYS}/{key_id}"), 404, "not_found")


def test_nobody_revokes_the_key_they_ask_with_or_the_admins_own(http, farm):
    another = make(http, scope="admin").json()
    with with_key(farm, another["secret"]) as client:
        is_problem(client.delete(f"{KEYS}/{another['id'].upper()}"), 409, "conflict")
        detail = is_problem(client.delete(f"{KEYS}/{ADMIN_ID}"), 409, "conflict")["detail"]
        assert "VOICEFARM_ADMIN_KEY" in detail
        assert client.get(KEYS).status_code == 200
    is_problem(http.delete(f"{KEYS}/{ADMIN_ID}"), 409, "conflict")
    assert http.delete(f"{KEYS}/{another['id']}").status_code == 200


def test_a_front_that_ends_writes_down_who_used_it_last(farm, http):
    made = make(http)
    with with_key(farm, made.json()["secret"]) as client:
        client.get(AN_OPEN_DOOR)
    assert http.get(made.headers["Location"]).json()["last_used_at"] is None, "not yet"
    farm["web"].stop()
    farm["web"].start()
    farm.wait_until_it_answers()
    assert made.json()["created_at"] <= http.get(made.headers["Location"]).json()["last_used_at"] <= soon()


def test_the_dashboards_session_may_manage_keys_too(farm):
    with farm.client() as browser:
        del browser.headers["Authorization"]
        browser.get(farm.link())
        answer = make(browser, name="from the page")
        assert answer.status_code == 201
        assert browser.delete(answer.headers["Location"]).json()["scope"] == Scope.SPEAK
