"""A provider fails in every way there is, in a real worker; the next one speaks, and the truth is told."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.circuits import CIRCUITS, MIN_ATTEMPTS, Circuits
from shared.presence import Presence
from shared.turns import LOSSES_PER_PROVIDER
from tests.farm import RunningFarm, running_farm, until
from tests.sixth.tree import grow

if TYPE_CHECKING:
    from collections.abc import Iterator

SYNTHESIZE = "/api/voice/synthesize"
MARCEL = "00000000-0000-0000-0001-000000000001"
TIMEOUT_S = 3
ROUNDS = 2
# What the sixth provider is told to do, and the codes of the attempts that come of it.
FAULTS = {
    "exception": ["engine_failed"],
    "error": ["engine_failed"],
    "hang": ["timed_out"],
    "silence": ["silent_audio"],
    "nan": ["broken_audio"],
    "death": ["worker_lost"] * LOSSES_PER_PROVIDER,
}


@pytest.fixture(scope="module")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm where marcel has the sixth provider speak, and espeak after it."""
    env = {
        "VOICEFARM_LEASE_SECONDS": "2",
        "VOICEFARM_SYNTHESIS_TIMEOUT_SECONDS": str(TIMEOUT_S),
    }
    folder, tree = tmp_path_factory.mktemp("farm"), grow(tmp_path_factory.mktemp("tree"))
    with running_farm(folder, workers=("espeak", "sixth"), env=env, tree=tree) as farm:
        until(lambda: roll_call(farm).has_worker("sixth"), "the sixth provider's pool lives")
        with farm.client() as http:
            patch = {"voice_config": {"provider": "sixth"}}
            assert http.patch(f"/api/voice/personalities/{MARCEL}", json=patch).status_code == 200
        yield farm


@pytest.fixture(autouse=True)
def _closed_circuits(farm):
    Circuits(farm.redis.client(1)).close("sixth")
    farm.redis.client(1).delete("voice:outcomes:sixth")


def roll_call(farm):
    return Presence(farm.redis.client(1)).roll_call()


def speak(http, word):
    """Ask for speech that begins with this word; gives the answer and the job that was made for it."""
    body = {"text": f"{word} is what is told to number {uuid.uuid4().hex[:8]}."}
    answer = http.post(SYNTHESIZE, json=body, headers={"Prefer": "wait=60"}, timeout=90)
    assert answer.status_code == 200, answer.text
    [job] = [
        job for job in http.get("/api/voice/jobs?limit=200").json()["items"]
        if job["request"]["text"] == body["text"]
    ]  # fmt: skip
    return answer, job


def failures(http):
    """Give how often the sixth provider failed, by code, as the metrics tell it."""
    return Counter(
        {
            sample.labels["code"]: round(sample.value)
            for family in text_string_to_metric_families(http.get("/metrics").text)
            for sample in family.samples
            if sample.name == "voicefarm_synthesis_failures_total" and sample.labels["provider"] == "sixth"
        }
    )


def sixth(http):
    """Give what the status tells of the sixth provider."""
    return http.get("/api/voice/providers/status").json()["providers"]["sixth"]


def test_every_fault_leads_to_speech_from_the_next_provider_time_after_time(farm):
    expected: Counter[str] = Counter()
    with farm.client() as http, ThreadPoolExecutor(len(FAULTS)) as pool:
        before = failures(http)
        asked_before = sixth(http)["requests"]
        for _ in range(ROUNDS):
            for codes, (answer, job) in zip(
                FAULTS.values(), pool.map(lambda word: speak(http, word), FAULTS), strict=True
            ):
                assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == ("espeak", "true")
                assert (job["status"], job["provider"], job["degraded"]) == ("succeeded", "espeak", True)
                told = [(attempt["provider"], attempt["code"]) for attempt in job["attempts"]]
                assert told == [("sixth", code) for code in codes]
                assert all(attempt["detail"] for attempt in job["attempts"])
                expected.update(codes)
                if codes == ["timed_out"]:
                    assert job["attempts"][0]["duration_ms"] >= TIMEOUT_S * 1000
            # The sixth recovers from it all, and what it speaks then is nothing less.
            farm.redis.client(1).delete("voice:outcomes:sixth")
            answer, job = speak(http, "Health")
            assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == ("sixth", "false")
            assert job["attempts"] == []
        assert failures(http) - before == expected
        assert sixth(http)["failures"] == failures(http).total()
        assert sixth(http)["requests"] - asked_before == expected.total() + ROUNDS


def test_a_provider_that_always_fails_is_left_alone_until_it_has_recovered(farm):
    state = farm.redis.client(1)
    with farm.client() as http:
        before = failures(http)
        for _ in range(MIN_ATTEMPTS):
            answer, _ = speak(http, "Exception")
            assert answer.headers["X-Provider"] == "espeak"
        assert (sixth(http)["circuit"], sixth(http)["available"]) == ("open", False)
        assert "20 of 20 attempts" in sixth(http)["reason"]

        answer, job = speak(http, "Health")
        assert (answer.headers["X-Provider"], answer.headers["X-Degraded"]) == ("espeak", "true")
        assert [(told["provider"], told["code"]) for told in job["attempts"]] == [("sixth", "circuit_open")]
        forced = http.post(SYNTHESIZE, json={"text": "Only the sixth.", "provider": "sixth"})
        assert (forced.status_code, forced.json()["code"]) == (503, "no_provider")
        assert 1 <= int(forced.headers["Retry-After"]) <= 15
        assert failures(http) - before == {"engine_failed": MIN_ATTEMPTS}, "nobody tried it meanwhile"

        state.zadd(CIRCUITS, {"sixth": 0})  # as time does
        assert sixth(http)["circuit"] == "half_open"
        answer, _ = speak(http, "Health")
        assert answer.headers["X-Provider"] == "sixth"
        until(lambda: roll_call(farm).circuit("sixth") == "closed", "the circuit is closed")


def test_work_that_waits_where_a_circuit_opens_is_spoken_by_the_next(farm):
    with farm.client() as http:
        farm["sixth"].pause()
        jobs = [
            http.post(SYNTHESIZE, json={"text": f"Health of number {number}."}).headers["Location"]
            for number in range(10)
        ]
        farm.redis.client(1).zadd(CIRCUITS, {"sixth": roll_call(farm).now_ms + 600_000})
        farm["sixth"].resume()
        until(lambda: {http.get(job).json()["status"] for job in jobs} == {"succeeded"}, "all are spoken", 30)
        assert {http.get(job).json()["provider"] for job in jobs} == {"espeak"}
