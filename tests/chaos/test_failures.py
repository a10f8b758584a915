"""Parts of the farm are killed, stopped and emptied; no accepted job is lost, none is spoken twice."""

from __future__ import annotations

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

from shared.keys import ADMIN_ID
from shared.ledger import Ledger
from shared.models import SpeechRequest
from shared.presence import Presence
from tests.chaos.conftest import syntheses
from tests.farm import running_farm, until
from tests.servers import redis_binaries, running_redis
from tests.shared.ledger.machine import UTTERANCE
from tests.voices import make_voices

SYNTHESIZE = "/api/voice/synthesize"
LONG_TEXT = "The quick brown fox jumps over the lazy dog. " * 15


def ask(http, text=None, **fields):
    """Begin a job; gives its address."""
    answer = http.post(SYNTHESIZE, json={"text": text or f"Job {uuid.uuid4().hex[:8]}.", **fields})
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def ask_for_much(http):
    """Begin a job that is slow enough to be caught in the act, short enough for the cache: three minutes."""
    return ask(http, f"Job {uuid.uuid4().hex[:8]}. {LONG_TEXT}", speed=0.25, pitch=-20)


def status(http, job):
    return http.get(job).json()["status"]


def succeeds(http, *jobs, within_s=30):
    left = set(jobs)

    def all_done():
        for job in list(left):
            state = http.get(job).json()
            assert state["status"] in {"queued", "running", "succeeded"}, state
            if state["status"] == "succeeded":
                left.remove(job)
        return not left

    until(all_done, f"{len(jobs)} jobs succeed", within_s)


def test_a_pool_killed_in_the_middle_is_taken_over_by_the_next(farm, http, new_syntheses):
    jobs = [ask_for_much(http), *(ask(http) for _ in range(20))]
    until(lambda: status(http, jobs[0]) == "running", "the first job runs")
    farm["espeak"].kill()
    farm["espeak"].start()
    succeeds(http, *jobs)
    assert new_syntheses() == len(jobs)


def test_a_front_that_dies_before_it_rings_loses_nothing(farm, http):
    ledger = Ledger.from_settings(farm.settings, farm.redis.client(1))
    request = SpeechRequest(text=UTTERANCE.text, personality_id=UTTERANCE.personality_id, language="en")
    ids = [str(uuid.uuid4()) for _ in range(10)]
    for number, job_id in enumerate(ids):
        ledger.submit(
            f"{number:064x}", UTTERANCE, ("espeak",), "espeak", job_id=job_id, owner=ADMIN_ID,
            request=request,
            looked_at_ms=Presence(ledger.redis).roll_call().now_ms,
        )  # fmt: skip
    succeeds(http, *(f"/api/voice/jobs/{job_id}" for job_id in ids), within_s=15)


def test_a_worker_that_hangs_for_two_leases_is_fenced(farm, http, new_syntheses):
    job = ask_for_much(http)
    until(lambda: status(http, job) == "running", "the job runs")
    farm["espeak"].pause()
    until(lambda: http.get(job).json()["attempts"], "the lease is lost")
    farm["espeak"].resume()
    succeeds(http, job, within_s=45)
    assert new_syntheses() <= 2
    assert farm.redis.client(1).zcard("voice:due") == 0


def test_redis_killed_and_back_loses_nothing(farm, http):
    jobs = [ask(http) for _ in range(20)]
    farm.redis.client(1).config_set("appendfsync", "always")
    jobs += [ask(http) for _ in range(20)]
    farm.redis.kill()
    answer = http.post(SYNTHESIZE, json={"text": "Nobody is there."})
    assert (answer.status_code, answer.json()["code"]) == (503, "state_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    farm.redis.start()
    until(lambda: http.get("/readyz").status_code == 200, "the farm is ready again")
    succeeds(http, *jobs[20:], within_s=45)


def test_while_redis_hangs_memory_answers_and_everything_else_is_told_within_a_second(farm, http):
    for _ in range(3):  # the third answer comes from memory
        warm = http.post(SYNTHESIZE, json={"text": "Warm."}, headers={"Prefer": "wait=20"})
    expected = {
        ("POST", SYNTHESIZE, "Warm."): 200,
        ("POST", SYNTHESIZE, "Cold."): 503,
        ("GET", "/api/voice/cache/stats", None): 503,
        ("GET", "/healthz", None): 200,
        ("GET", "/", None): 200,
    }
    farm.redis.pause()
    try:
        for (method, path, text), status_code in expected.items():
            begun = time.monotonic()
            body = {"json": {"text": text}, "headers": {"Prefer": "wait=20"}} if text else {}
            answer = http.request(method, path, **body)
            assert answer.status_code == status_code, path
            assert time.monotonic() - begun < 2
            assert text != "Warm." or answer.content == warm.content
    finally:
        farm.redis.resume()
    until(
        lambda: http.post(SYNTHESIZE, json={"text": "Warm."}).headers["X-Cache-Status"] == "HIT",
        "all is well",
    )


def test_an_emptied_broker_is_rung_again(farm, http, new_syntheses):
    farm["espeak"].pause()
    jobs = [ask(http) for _ in range(10)]
    farm.redis.client(0).flushdb()
    farm["espeak"].resume()
    succeeds(http, *jobs, within_s=45)
    assert new_syntheses() == len(jobs)


def test_connections_cut_again_and_again_lose_nothing(farm, http, new_syntheses):
    stop = threading.Event()

    def cut():
        client = farm.redis.client(0)
        while not stop.wait(0.2):
            client.client_kill_filter(_type="normal", skipme=True)

    cutter = threading.Thread(target=cut)
    cutter.start()
    jobs = []
    try:
        for _ in range(30):
            answer = http.post(SYNTHESIZE, json={"text": f"Cut {uuid.uuid4()}."})
            assert answer.status_code in {202, 503}
            if answer.status_code == 202:
                jobs.append(answer.headers["Location"])
    finally:
        stop.set()
        cutter.join()
    assert jobs
    succeeds(http, *jobs, within_s=45)
    assert new_syntheses() <= 30


def test_a_full_state_redis_refuses_at_once_and_drains_after_relief(farm, http):
    farm["espeak"].pause()
    jobs = [ask(http) for _ in range(5)]
    state = farm.redis.client(1)
    state.config_set("maxmemory", 1)
    try:
        answer = http.post(SYNTHESIZE, json={"text": "There is no room."})
        assert (answer.status_code, answer.json()["code"]) == (503, "state_unavailable")
    finally:
        state.config_set("maxmemory", 0)
    farm["espeak"].resume()
    succeeds(http, *jobs, within_s=45)


def test_without_workers_jobs_are_refused_at_once_but_hits_are_served(farm, http):
    http.post(SYNTHESIZE, json={"text": "Warm."}, headers={"Prefer": "wait=20"})
    farm["espeak"].stop()
    before = set(farm.redis.client(1).keys("voice:job:*"))
    answer = http.post(SYNTHESIZE, json={"text": "Nobody works."})
    assert (answer.status_code, answer.json()["code"]) == (503, "no_provider")
    assert set(farm.redis.client(1).keys("voice:job:*")) == before
    assert http.get("/readyz").status_code == 503
    assert http.post(SYNTHESIZE, json={"text": "Warm."}).headers["X-Cache-Status"] == "HIT"


def test_a_backlog_at_its_limit_refuses_at_once_serves_hits_and_drains(tmp_path):
    with running_farm(tmp_path, env={"VOICEFARM_MAX_BACKLOG": "5"}) as farm, farm.client() as http:
        http.post(SYNTHESIZE, json={"text": "Warm."}, headers={"Prefer": "wait=20"})
        farm["espeak"].pause()
        jobs = [ask(http) for _ in range(5)]
        answer = http.post(SYNTHESIZE, json={"text": "One too many."})
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert http.post(SYNTHESIZE, json={"text": "Warm."}).headers["X-Cache-Status"] == "HIT"
        farm["espeak"].resume()
        succeeds(http, *jobs)
        assert syntheses(http) == 1 + len(jobs)


def test_a_key_over_its_rate_is_refused_hears_what_is_cached_and_loses_nothing(tmp_path):
    with running_farm(tmp_path, env={"VOICEFARM_RATE_LIMIT_PER_MINUTE": "3"}) as farm, farm.client() as http:
        jobs = [ask(http, text) for text in ("One.", "Two.", "Three.")]
        answer = http.post(SYNTHESIZE, json={"text": "Four."}, headers={"Prefer": "wait=20"})
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert answer.headers["X-Cache-Status"] == "MISS"
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        succeeds(http, *jobs)
        assert syntheses(http) == 3
        assert http.post(SYNTHESIZE, json={"text": "Three."}).headers["X-Cache-Status"] == "HIT"


def test_those_who_wait_do_not_hold_up_those_who_hit(farm, http):
    http.post(SYNTHESIZE, json={"text": "Warm."}, headers={"Prefer": "wait=20"})
    farm["espeak"].pause()

    def wait_for(n):
        return http.post(SYNTHESIZE, json={"text": f"Wait {n}."}, headers={"Prefer": "wait=60"})

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(wait_for, n) for n in range(10)]
        turned_away = [future.result() for future in wait(waiting, timeout=10).done]
        assert len(turned_away) == 6, "four wait, and the others are told at once"
        assert {answer.status_code for answer in turned_away} == {202}
        assert all("Preference-Applied" not in answer.headers for answer in turned_away)
        for _ in range(20):
            assert http.post(SYNTHESIZE, json={"text": "Warm."}).headers["X-Cache-Status"] == "HIT"
        farm["espeak"].resume()
        assert {future.result().status_code for future in waiting} == {200, 202}


def test_those_who_follow_a_job_and_go_away_leave_their_places(farm, http):
    farm["espeak"].pause()
    job = ask(http, "Followed.")
    with ExitStack() as stack:
        for _ in range(4):
            follower = stack.enter_context(farm.client())
            stack.enter_context(follower.stream("GET", f"{job}/events"))
        answer = http.get(f"{job}/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")

    def has_a_place():
        # A job that joins and leaves makes the front write to the others, which finds out that they are gone.
        http.delete(ask(http, "Followed."))
        with http.stream("GET", f"{job}/events") as answer:
            return answer.status_code == 200

    until(has_a_place, "there is a place again", 10)
    farm["espeak"].resume()
    with http.stream("GET", f"{job}/events", timeout=45) as answer:
        told = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    assert json.loads(told[-1])["status"] == "succeeded"


def test_a_cancelled_job_that_runs_stops_soon_and_its_audio_is_not_kept(farm, http, new_syntheses):
    jobs = [ask(http, LONG_TEXT * 4, speed=0.25, pitch=pitch) for pitch in (-19, -18)]
    until(lambda: {status(http, job) for job in jobs} == {"running"}, "both slots of the pool are taken")
    for job in jobs:
        assert http.delete(job).json()["status"] == "cancelled"
    succeeds(http, ask(http), within_s=15)
    until(lambda: not farm.redis.client(1).zcard("voice:due"), "nothing is under way", 15)
    assert new_syntheses() == 1, "the last one only"
    assert {status(http, job) for job in jobs} == {"cancelled"}


def test_work_for_a_pool_that_is_gone_for_good_goes_down_the_chain(tmp_path):
    make_voices(tmp_path / "models")
    with running_farm(tmp_path, workers=("espeak", "piper")) as farm, farm.client() as http:
        until(lambda: Presence(farm.redis.client(1)).roll_call().has_worker("piper"), "the Piper pool lives")
        farm["piper"].pause()
        jobs = [ask(http) for _ in range(5)]
        assert {http.get(job).json()["queue"]["name"] for job in jobs} == {"piper"}
        farm["piper"].kill()
        succeeds(http, *jobs)
        ended = [http.get(job).json() for job in jobs]
        assert {(job["provider"], job["degraded"]) for job in ended} == {("espeak", True)}
        assert syntheses(http) == len(jobs)


def test_without_its_cache_the_farm_speaks_on(tmp_path):
    with running_redis(redis_binaries()["7"], tmp_path / "ledger") as ledger:
        env = {"CELERY_BROKER_URL": ledger.url(0), "VOICEFARM_STATE_URL": ledger.url(1)}
        with running_farm(tmp_path, env=env) as farm, farm.client() as http:
            farm.redis.kill()
            text = "There is no cache."
            answers = [
                http.post(SYNTHESIZE, json={"text": text}, headers={"Prefer": "wait=20"}) for _ in range(2)
            ]
            assert [answer.status_code for answer in answers] == [200, 200]
            assert answers[0].content == answers[1].content
            assert answers[0].headers["Content-Location"].endswith("/audio"), "the job keeps it"
            job = ask(http)
            succeeds(http, job)
            assert http.get(http.get(job).json()["audio"]["url"]).content[:4] == b"RIFF"
            farm.redis.start()
            http.post(SYNTHESIZE, json={"text": text}, headers={"Prefer": "wait=20"})
            assert http.post(SYNTHESIZE, json={"text": text}).headers["X-Cache-Status"] == "HIT"
