"""The page's files, and the exchange of the printed link's code."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import web
from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.sessions import issue_code
from shared.settings import Settings
from web import create_app

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

STATIC = Path(web.__file__).parent / "static"
VENDORED = STATIC / "vendor"


@pytest.fixture
def environment() -> dict[str, str]:
    """More settings of the farm."""
    return {}


@pytest.fixture
def app(redis_server, tmp_path, environment) -> Flask:
    settings = Settings.load(
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=str(redis_server.port),
        VOICEFARM_STATE_DIR=str(tmp_path),
        VOICEFARM_MAX_TEXT_CHARS="77",
        **environment,
    )
    migrate(settings)
    return create_app(farm=Farm.from_settings(settings))


@pytest.fixture
def client(app) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def code(redis_server) -> str:
    with redis_server.client(1) as state:
        return issue_code(state)


def is_signed_in(client: FlaskClient) -> bool:
    return client.get("/api/voice/personalities").status_code == 200


def test_the_code_opens_a_session_and_leaves_the_address(client, code):
    answer = client.get(f"/?code={code}")
    assert (answer.status_code, answer.location) == (302, "/")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert is_signed_in(client)


def test_the_code_works_once(app, client, code):
    client.get(f"/?code={code}")
    somebody_else = app.test_client()
    answer = somebody_else.get(f"/?code={code}")
    assert (answer.status_code, answer.location) == (302, "/#code-used")
    assert "Set-Cookie" not in answer.headers
    assert not is_signed_in(somebody_else)


def test_a_used_code_leaves_an_open_session_open(client, code):
    client.get(f"/?code={code}")
    client.get(f"/?code={code}")
    assert is_signed_in(client)


def test_looking_at_the_link_without_opening_it_does_not_use_it_up(client, code):
    assert client.head(f"/?code={code}").status_code == 200
    client.get(f"/?code={code}")
    assert is_signed_in(client)


def test_the_link_can_be_loaded_again_when_redis_was_not_there(client, code, redis_server):
    redis_server.kill()
    try:
        assert b"<form" in client.get(f"/?code={code}").data
    finally:
        redis_server.start()
    client.get(f"/?code={code}")
    assert is_signed_in(client)


def test_the_page_knows_the_farms_bound_and_default(client):
    page = client.get("/").text
    assert 'data-max-chars="77"' in page
    assert re.findall(r'name="quality" value="(\w+)"( checked)?', page) == [
        ("highest", ""),
        ("high", " checked"),
        ("medium", ""),
        ("fast", ""),
    ]


def test_the_page_knows_what_a_sample_may_be(client):
    page = client.get("/").text
    assert 'data-min-seconds="5.0" data-max-seconds="30.0"' in page
    assert 'data-max-bytes="10000000"' in page
    assert "5 to 30 seconds of one voice; at most 10 MB" in page


def test_the_page_knows_who_clones(client):
    assert """data-cloners='["xtts_v2", "styletts2"]'""" in client.get("/").text


def test_the_page_knows_what_a_batch_may_be(client):
    assert 'data-max-items="10000" data-max-bytes="1048576"' in client.get("/").text


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "Nothing was missed yet."),
        ({"VOICEFARM_SUGGESTIONS": "false"}, "VOICEFARM_SUGGESTIONS is false."),
    ],
)
def test_the_page_tells_why_nothing_is_suggested(client, words):
    assert words in client.get("/").text


def test_no_two_elements_of_the_page_have_one_id_though_some_are_in_templates(client):
    ids = re.findall(r'\sid="([^"]+)"', client.get("/").text)
    assert [name for name, number in Counter(ids).items() if number > 1] == []


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline(client):
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert not re.search(r"unsafe|https?:|\*", policy)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)|https?://", answer.text)
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def files_of_the_page() -> list[Path]:
    return [file for file in STATIC.rglob("*") if file.is_file()]


def test_every_file_of_the_page_is_served_with_its_type_and_asked_for_again_only_when_it_changed(client):
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for file in files_of_the_page():
        if file.suffix not in types:
            continue
        path = f"/static/{file.relative_to(STATIC)}"
        with client.get(path) as answer:
            assert (answer.status_code, answer.mimetype) == (200, types[file.suffix])
            assert answer.headers["Cache-Control"] == "no-cache"
        with client.get(path, headers={"If-None-Match": answer.headers["ETag"]}) as again:
            assert (again.status_code, again.data) == (304, b"")


def test_every_file_that_the_page_is_made_of_is_there_and_there_is_no_other(client):
    wanted = {
        STATIC / name
        for name in re.findall(r'"/static/([^"]+)"', client.get("/").text + client.get("/docs").text)
    }
    for module in files_of_the_page():
        if module.suffix == ".js" and VENDORED not in module.parents:
            imported = re.findall(r'(?:from |import\(|URL\()"([^"]+)"', module.read_text())
            wanted |= {(module.parent / name).resolve() for name in imported}
    papers = {VENDORED / "README.md", *VENDORED.glob("*/LICENSE")}
    assert wanted | papers == set(files_of_the_page())


def test_what_is_vendored_is_what_was_published_and_has_its_licence():
    readme = (VENDORED / "README.md").read_text()
    table = re.findall(r"^\| `([^`]+)` \|.* `([0-9a-f]{64})` \|$", readme, re.MULTILINE)
    files = {str(file.relative_to(VENDORED)): file for file in VENDORED.glob("*/*") if file.name != "LICENSE"}
    assert dict(table) == {name: sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    for file in files.values():
        assert (file.parent / "LICENSE").read_text()
