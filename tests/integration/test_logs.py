"""What a farm writes into its logs: whose line it is, and never what was said."""

from __future__ import annotations

import json
import uuid

import psutil
import pytest

from shared.models import SpeechRequest
from tests.chaos.test_failures import LONG_TEXT
from tests.edits import setting
from tests.farm import running_farm, until

SYNTHESIZE = "/api/voice/synthesize"
ZAC = "00000000-0000-0000-0001-000000000003"
SAID = "xylophone"


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    """A farm that logs as JSON, with a lease of two seconds."""
    env = {"VOICEFARM_LOG_FORMAT": "json", "VOICEFARM_LEASE_SECONDS": "2"}
    with running_farm(tmp_path_factory.mktemp("farm"), env=env) as farm:
        yield farm


@pytest.fixture
def http(farm):
    with farm.client() as client:
        yield client


def lines(farm, program, event=None) -> list[dict]:
    """Give what a program logged; with `event`, those lines alone."""
    found = [json.loads(line) for line in farm[program].log.read_text().splitlines() if line.startswith("{")]
    return [line for line in found if event in {None, line["event"]}]


def ask(http, text=None, **fields):
    """Begin a job; gives what identifies it in log lines."""
    request_id = f"call-{uuid.uuid4()}"
    body = {"text": text or f"The {SAID} {uuid.uuid4().hex[:8]}.", **fields}
    answer = http.post(SYNTHESIZE, json=body, headers={"X-Request-Id": request_id})
    assert answer.status_code == 202, answer.text
    return {"job_id": answer.json()["id"], "provider": "espeak", "request_id": request_id}


def ends(http, about, status) -> None:
    path = f"/api/voice/jobs/{about['job_id']}"
    until(lambda: http.get(path).json()["status"] == status, f"the job has {status}")


def logged(farm, program, event, about) -> dict:
    """Give the line of this kind that carries all of `about`, once it is there."""

    def find():
        return [line for line in lines(farm, program, event) if about.items() <= line.items()]

    until(find, f"{program} logs {event} with {about}")
    return find()[0]


def test_a_job_is_followed_through_front_and_worker(farm, http):
    about = ask(http)
    ends(http, about, "succeeded")
    front = logged(farm, "web", "job_submitted", about)
    worker = logged(farm, "espeak", "rendered", about)
    assert front["rendering"] == worker["rendering"]
    assert {"level", "timestamp"} <= worker.keys()


def test_a_failed_attempt_carries_its_job(farm, http, personalities):
    voice = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "nobody"}})))
    try:
        about = ask(http, personality_id=ZAC)
        ends(http, about, "failed")
    finally:
        personalities.change(ZAC, setting(voice_config=voice))
    assert logged(farm, "espeak", "attempt_failed", about)["code"] == "voice_not_found"


def test_an_unexpected_error_carries_its_job_and_its_trace(farm, http):
    farm["espeak"].pause()
    about = ask(http)
    state = farm.redis.client(1)
    rendering = state.hget(f"voice:job:{about['job_id']}", "rendering").decode()
    utterance = json.loads(state.hget(f"voice:rendering:{rendering}", "utterance"))
    state.hset(f"voice:rendering:{rendering}", "utterance", json.dumps(utterance | {"voices": 1}))
    farm["espeak"].resume()

    def of_job():
        return [line for line in lines(farm, "espeak") if line.get("job_id") == about["job_id"]]

    until(lambda: any("exception" in line for line in of_job()), "the trace is logged")
    assert all(about.items() <= line.items() for line in of_job())
    assert {len(line["rendering"]) for line in of_job()} == {12}


def test_a_process_that_was_killed_is_told_with_its_job(farm, http):
    with farm.processes():
        about = ask(http, f"{SAID} {LONG_TEXT}", speed=0.25, pitch=-20)
        until(lambda: http.get(f"/api/voice/jobs/{about['job_id']}").json()["status"] == "running", "it runs")
        for child in psutil.Process(farm["espeak"].process.pid).children():
            child.kill()
        del about["request_id"]  # the parent knows no more than the message says
        assert logged(farm, "espeak", "attempt_lost", about)["error"] == "WorkerLostError"


def test_what_is_rung_again_carries_its_job(farm, http):
    farm["espeak"].kill()
    about = ask(http)
    farm.redis.client(0).flushdb()
    farm["espeak"].start()
    ends(http, about, "succeeded")
    again = [line for program in ("web", "espeak") for line in lines(farm, program, "rung_again")]
    assert any(about.items() <= line.items() for line in again)


def test_requests_that_are_refused_or_break_leave_no_text(farm, http):
    for body in (
        {"text": SAID, "speed": 99},
        {"text": SAID, SAID: SAID},
        {"text": f"<speak>{SAID}</speak>"},
        {"text": SAID * 1000},
        {"text": SAID, "language": SAID},
        {"text": SAID, "provider": "piper"},
    ):
        assert http.post(SYNTHESIZE, json=body).status_code in {422, 503}
    assert http.post(SYNTHESIZE, content=f'{{"text": "{SAID}"').status_code == 415

    about = ask(http)
    broken = SpeechRequest(text=SAID).model_dump_json().replace('"speed":1.0', f'"speed":"{SAID}"')
    farm.redis.client(1).hset(f"voice:job:{about['job_id']}", "request", broken)
    assert http.get(f"/api/voice/jobs/{about['job_id']}").status_code == 500
    [line] = lines(farm, "web", "unexpected_error")
    assert "ValidationError" in line["exception"]


def test_no_log_holds_what_was_said(farm, http):
    ends(http, ask(http), "succeeded")
    logs = list(farm.folder.rglob("*.log"))
    assert {"web.log", "espeak.log", "redis.log"} <= {log.name for log in logs}
    for log in logs:
        assert SAID not in log.read_text().lower(), log
