"""A farm with a Google pool: its threads, who stands in when Google does not speak, and how the pool ends."""

from __future__ import annotations

import signal
import subprocess
import uuid
from io import BytesIO
from typing import TYPE_CHECKING

import psutil
import pytest
import soundfile

from shared.database import Database
from shared.directory import Changes
from shared.personalities import Personalities
from shared.presence import Presence
from tests.edits import setting
from tests.farm import ROOT, RunningFarm, running_farm, until
from tests.google_server import SAMPLE_RATE_HZ, SECRET, GoogleServer, running_google

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ZAC = "00000000-0000-0000-0001-000000000003"
THREADS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[GoogleServer]:
    with running_google() as server:
        yield server


@pytest.fixture
def google(server) -> Iterator[GoogleServer]:
    """The server, with nothing told to it and nothing asked of it; afterwards nobody waits for it."""
    server.reset()
    yield server
    server.reset()


def google_farm(folder, server, **settings):
    env = {
        "VOICEFARM_GOOGLE_ENDPOINT": server.endpoint("grpc"),
        "VOICEFARM_GOOGLE_CONCURRENCY": str(THREADS),
        "VOICEFARM_LEASE_SECONDS": "2",
        **settings,
    }
    return running_farm(folder, workers=("espeak", "google_tts"), env=env)


@pytest.fixture(scope="module")
def farm(tmp_path_factory, server) -> Iterator[RunningFarm]:
    """A farm with an espeak pool and a Google pool, which is patient with Google."""
    with google_farm(tmp_path_factory.mktemp("farm"), server, VOICEFARM_GOOGLE_TIMEOUT_SECONDS="60") as farm:
        lives(farm)
        yield farm


@pytest.fixture(scope="module")
def hasty_farm(tmp_path_factory, server) -> Iterator[RunningFarm]:
    """One that gives Google a second, and a cent a month."""
    limits = {
        "VOICEFARM_GOOGLE_TIMEOUT_SECONDS": "1",
        "VOICEFARM_MONTHLY_BUDGETS_USD": '{"google_tts": 0.01}',
    }
    with google_farm(tmp_path_factory.mktemp("hasty"), server, **limits) as farm:
        lives(farm)
        yield farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    with farm.client() as client:
        yield client


@pytest.fixture
def personalities(farm) -> Iterator[Personalities]:
    database = Database(farm.settings.database_url)
    yield Personalities(database, Changes(farm.redis.client(1)))
    database.close()


def lives(farm):
    until(
        lambda: Presence(farm.redis.client(1)).roll_call().has_worker("google_tts"), "the Google pool lives"
    )


def body(**fields):
    """A request for a text that nobody has asked for before."""
    return {"text": f"Nobody has said {uuid.uuid4().hex} before.", **fields}


def speak(http, **fields):
    return http.post("/api/voice/synthesize", json=body(**fields), headers={"Prefer": "wait=60"})


def ask(http, **fields):
    """Ask for a job; gives its address."""
    return http.post("/api/voice/jobs", json=body(**fields)).headers["Location"]


def ended(http, job):
    def is_over():
        return http.get(job).json()["status"] in {"succeeded", "failed", "cancelled"}

    until(is_over, f"{job} has ended")
    return http.get(job).json()


def spoken_by(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["X-Provider"], answer.headers["X-Degraded"]


@pytest.mark.parametrize(
    "wish", [{"provider": "google_tts"}, {"quality": "highest"}, {"quality": "fast"}, {}]
)
def test_google_speaks_when_it_is_asked_and_when_it_is_the_best(google, http, wish):
    answer = speak(http, **wish)
    assert spoken_by(answer) == ("google_tts", "false")
    assert soundfile.info(BytesIO(answer.content)).samplerate == SAMPLE_RATE_HZ
    assert len(google.requests) == 1


def test_what_the_cache_holds_is_not_paid_for_again(google, http):
    wish = body()
    for cache_status in ("MISS", "HIT"):
        answer = http.post("/api/voice/synthesize", json=wish, headers={"Prefer": "wait=60"})
        assert answer.headers["X-Cache-Status"] == cache_status
    assert len(google.requests) == 1


def test_a_language_without_a_voice_is_not_paid_for_and_spoken_by_the_next(google, http):
    assert spoken_by(speak(http, language="sw")) == ("espeak", "false")
    answer = speak(http, language="sw", provider="google_tts")
    assert (answer.status_code, answer.json()["code"]) == (422, "language_not_supported")
    assert google.requests == []


@pytest.mark.parametrize("voice", ["nobody", "en-US-Neural2-Z"])
def test_an_unknown_voice_is_an_error_and_no_other_voice_of_google(google, http, personalities, voice):
    config = personalities.get(ZAC).voice_config
    wrong = config.model_copy(update={"voices": {"google_tts": voice}})
    personalities.change(ZAC, setting(voice_config=wrong))
    try:
        assert spoken_by(speak(http, personality_id=ZAC)) == ("espeak", "true")
        answer = speak(http, personality_id=ZAC, provider="google_tts")
        [attempt] = answer.json()["attempts"]
        assert (answer.status_code, attempt["code"]) == (502, "voice_not_found")
        assert repr(voice) in attempt["detail"]
    finally:
        personalities.change(ZAC, setting(voice_config=config))
    assert {request.voice.name for request in google.requests} <= {voice}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("UNAVAILABLE", "engine_unavailable"),
        ("RESOURCE_EXHAUSTED", "quota_exceeded"),
        ("PERMISSION_DENIED", "credentials_refused"),
        ("INVALID_ARGUMENT", "utterance_refused"),
    ],
)
def test_espeak_stands_in_when_google_fails_and_the_job_tells_why(google, hasty_farm, status, code):
    google.fail(status)
    with hasty_farm.client() as http:
        job = ended(http, ask(http))
        assert (job["status"], job["provider"], job["degraded"]) == ("succeeded", "espeak", True)
        [attempt] = job["attempts"]
        assert (attempt["provider"], attempt["code"]) == ("google_tts", code)
        assert not set(SECRET.split()) & set(attempt["detail"].split())
        alone = ended(http, ask(http, provider="google_tts"))
        assert (alone["status"], alone["error"]["code"]) == ("failed", "synthesis_failed")
        google.reset()
        assert spoken_by(speak(http)) == ("google_tts", "false")


def test_espeak_stands_in_when_google_does_not_answer_in_time(google, hasty_farm):
    google.is_open.clear()
    with hasty_farm.client() as http:
        job = ended(http, ask(http))
        assert job["provider"] == "espeak"
        assert [attempt["code"] for attempt in job["attempts"]] == ["timed_out"]


def test_what_google_costs_is_counted_and_once_the_budget_is_spent_nobody_asks_it(google, hasty_farm):
    def status():
        return http.get("/api/voice/providers/status").json()

    def told(name):
        return status()["providers"]["google_tts"][name]

    with hasty_farm.client() as http:
        text = "This is said for sixteen dollars per million letters. " * 12
        before = told("cost")
        job = ended(http, ask(http, text=text))
        assert (job["provider"], job["attempts"]) == ("google_tts", [])
        until(lambda: told("cost") > before, "the cost is counted")
        assert told("cost") - before == pytest.approx(len(text.strip()) * 16e-6, abs=1e-6)
        assert status()["total_cost"] == pytest.approx(told("cost"))
        until(lambda: usage_of_google(http) == pytest.approx(told("cost")), "SQL has it, too")

        until(lambda: told("circuit") == "open", "the budget is spent")
        assert "budget" in told("reason")
        google.requests.clear()
        job = ended(http, ask(http))
        assert (job["provider"], job["degraded"]) == ("espeak", True)
        assert [attempt["code"] for attempt in job["attempts"]] == ["circuit_open"]
        assert google.requests == []


def usage_of_google(http):
    totals = http.get("/api/voice/usage?group_by=provider&provider=google_tts").json()["items"]
    return sum(float(item["cost_usd"]) for item in totals)


def test_as_many_requests_are_under_way_at_once_as_the_pool_has_threads(google, farm, http):
    google.is_open.clear()
    jobs = [ask(http) for _ in range(THREADS + 1)]
    until(lambda: len(google.requests) == THREADS, "all threads ask Google")
    states = [http.get(job).json()["status"] for job in jobs]
    assert sorted(states) == ["queued", *["running"] * THREADS]
    google.is_open.set()
    assert {ended(http, job)["provider"] for job in jobs} == {"google_tts"}
    workers = Presence(farm.redis.client(1)).workers()
    assert {worker.provider: worker.slots for worker in workers} == {"espeak": 2, "google_tts": THREADS}
    assert {worker.provider: worker.device for worker in workers} == {"espeak": "cpu", "google_tts": "cloud"}
    assert psutil.Process(farm["google_tts"].process.pid).children() == [], "one process, loaded once"


def test_a_pool_that_ends_lets_what_is_being_spoken_end(google, farm, http):
    google.is_open.clear()
    job = ask(http)
    assert google.was_asked.wait(20)
    farm["google_tts"].signal(signal.SIGTERM)
    presence = Presence(farm.redis.client(1))
    until(lambda: not presence.roll_call().has_worker("google_tts"), "the pool takes its leave")
    google.is_open.set()
    assert farm["google_tts"].process.wait(20) == 0
    assert (ended(http, job)["provider"], http.get(job).json()["attempts"]) == ("google_tts", [])
    farm["google_tts"].start()
    lives(farm)


def test_a_pool_that_ends_does_not_wait_for_google_and_its_work_is_not_lost(google, farm, http):
    google.is_open.clear()
    job = ask(http)
    assert google.was_asked.wait(20)
    farm["google_tts"].signal(signal.SIGTERM)
    assert farm["google_tts"].process.wait(20) == 0, "though Google has not answered"
    assert ended(http, job)["provider"] == "espeak"
    google.is_open.set()
    farm["google_tts"].start()
    lives(farm)
    assert spoken_by(speak(http)) == ("google_tts", "false")


def test_a_provider_that_is_not_thread_safe_gets_no_pool_of_threads(farm):
    piper = farm["piper"]
    line = f"{piper.line.replace('prefork', 'threads')} --concurrency 2"
    command = ["sh", "-c", f"exec {line}"]
    refused = subprocess.run(
        command, cwd=ROOT, env=piper.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode != 0
    assert "start it with --concurrency 1 or --pool prefork" in refused.stdout + refused.stderr
