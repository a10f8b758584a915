"""One file and one entry in the catalogue make a provider: everything else follows from them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from shared.presence import Presence
from tests.farm import running_farm, until
from tests.servers import clean_environment
from tests.sixth.tree import grow

SYNTHESIZE = "/api/voice/synthesize"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return grow(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module")
def farm(tree, tmp_path_factory):
    with running_farm(tmp_path_factory.mktemp("farm"), workers=("espeak", "sixth"), tree=tree) as farm:
        presence = Presence(farm.redis.client(1))
        until(lambda: presence.roll_call().has_worker("sixth"), "the sixth provider's pool lives")
        yield farm


@pytest.fixture
def http(farm):
    with farm.client() as client:
        yield client


def test_it_speaks_when_it_is_asked_to_and_is_cached(http):
    asked = {"text": "The sixth one.", "provider": "sixth", "speed": 2.0}
    answer = http.post(SYNTHESIZE, json=asked, headers={"Prefer": "wait=20"})
    assert (answer.status_code, answer.headers["X-Provider"]) == (200, "sixth")
    assert (answer.headers["X-Sample-Rate"], answer.headers["X-Degraded"]) == ("24000", "false")
    assert http.post(SYNTHESIZE, json=asked).headers["X-Cache-Status"] == "HIT"
    french = http.post(SYNTHESIZE, json=asked | {"language": "fr"})
    assert (french.status_code, french.json()["code"]) == (422, "language_not_supported")


def test_the_api_names_it_where_it_names_providers(http):
    document = http.get("/openapi.json").json()
    [names, _] = document["components"]["schemas"]["SpeechRequest"]["properties"]["provider"]["anyOf"]
    assert "sixth" in names["enum"]
    refusal = http.post(SYNTHESIZE, json={"text": "Hello.", "provider": "seventh"})
    assert refusal.status_code == 422
    assert "sixth" in refusal.json()["errors"][0]["message"]


def test_its_state_is_told_like_everybodys(http):
    status = http.get("/api/voice/providers/status").json()["providers"]["sixth"]
    assert (status["enabled"], status["available"], status["reason"]) == (True, True, None)
    assert (status["workers"], status["device"], status["circuit"]) == (1, "cpu", "closed")
    metrics = http.get("/metrics").text
    assert 'voicefarm_workers{provider="sixth"} 1.0' in metrics
    assert 'voicefarm_queue_depth{provider="sixth"} 0.0' in metrics


def test_a_personality_may_prefer_it(http):
    made = http.post(
        "/api/voice/personalities",
        json={"name": "hum", "personality_name": "Hum", "voice_config": {"provider": "sixth"}},
    )
    assert made.status_code == 201, made.text
    answer = http.post(
        SYNTHESIZE,
        json={"text": "I hum.", "personality_id": made.json()["id"]},
        headers={"Prefer": "wait=20"},
    )
    assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == ("sixth", "false")


def test_the_doctor_looks_at_it(farm, tree):
    environment = clean_environment() | {
        "PYTHONPATH": str(tree),
        "VOICEFARM_STATE_DIR": str(farm.folder),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(farm.redis.port),
        "VOICEFARM_URL": farm.url,
        "VOICEFARM_KEY": farm.admin_key,
    }
    command = [sys.executable, "-c", "from shared.cli import main; main()", "doctor"]
    told = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert "ok      provider sixth" in told.stdout, told.stdout + told.stderr


def test_it_is_held_to_what_every_provider_must_do(tree):
    command = [sys.executable, "-m", "pytest", "-k", "sixth", "tests/workers/test_provider_contract.py"]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    told = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert " passed" in told.stdout or "100%" in told.stdout
