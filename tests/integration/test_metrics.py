"""`/metrics`, scraped from running farms and read with Prometheus' own parser."""

from __future__ import annotations

import re
import time
import uuid

import pytest

from tests.edits import setting
from tests.farm import running_farm, until
from tests.integration.scraping import (
    PROMETHEUS,
    SYNTHESIZE,
    ZAC,
    Scrape,
    scrape,
    scrape_everything,
    speak,
    wait_until_the_budget_was_looked_at,
)
from tests.readme import README


def test_the_table_in_the_readme_is_what_is_exported(farm, http, personalities):
    families = scrape_everything(farm, http, personalities).families.values()
    exported = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        exported[name] = (labels, family.type == "histogram")
    described = {}
    table = README.read_text().partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    for name, labels, _of, meaning in re.findall(
        r"^\| `(\w+)` \| (.*?) \| (\w+) \| (.*) \|$", table, re.MULTILINE
    ):
        described[name] = (set(re.findall(r"\w+", labels)), meaning.startswith("Histogram"))
    assert described == {name: about for name, about in exported.items() if name.startswith("voicefarm_")}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= set(exported)


def test_requests_are_counted_by_cache_status_and_outcome(farm, http):
    before = scrape(farm.url)
    text = f"Counted {uuid.uuid4().hex[:8]}."
    speak(http, text)
    for _ in range(5):
        speak(http, text)
    speak(http, wait=0)
    speak(http, "?!")
    speak(http, provider="piper")
    PROMETHEUS.post(f"{farm.url}{SYNTHESIZE}", json={"text": "Hi"})
    after = scrape(farm.url)

    def gained(name, **labels):
        return after(name, **labels) - before(name, **labels)

    assert gained("voicefarm_requests_total", cache_status="HIT", outcome="audio") == 5
    for outcome in ("audio", "job", "invalid_request", "no_provider", "unauthorized"):
        assert gained("voicefarm_requests_total", cache_status="MISS", outcome=outcome) == 1
    for cache_status, count in (("HIT", 5), ("MISS", 1)):
        answers = {"cache_status": cache_status, "outcome": "audio"}
        assert gained("voicefarm_request_seconds_count", **answers) == count
        assert 0 < gained("voicefarm_request_seconds_sum", **answers) < 20
        assert gained("voicefarm_cache_requests_total", cache_status=cache_status) >= count
    hits_s = gained("voicefarm_request_seconds_sum", cache_status="HIT", outcome="audio") / 5
    misses_s = gained("voicefarm_request_seconds_sum", cache_status="MISS", outcome="audio")
    assert hits_s < misses_s


def test_what_providers_did_is_counted_farm_wide(farm, http, personalities):
    before = scrape(farm.url)
    seconds = sum(int(speak(http).headers["X-Duration-MS"]) for _ in range(3)) / 1000
    voice = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "nobody"}})))
    try:
        speak(http, personality_id=ZAC)
    finally:
        personalities.change(ZAC, setting(voice_config=voice))
    # Workers count after they have told the front.
    failed = {"provider": "espeak", "code": "voice_not_found"}
    name = "voicefarm_synthesis_failures_total"
    until(lambda: scrape(farm.url)(name, **failed) == before(name, **failed) + 1, "the failure is counted")
    after = scrape(farm.url)
    espeak = {"provider": "espeak"}
    count = "voicefarm_synthesis_seconds_count"
    assert after(count, **espeak) == before(count, **espeak) + 3
    assert after("voicefarm_synthesis_seconds_bucket", le="+Inf", **espeak) == after(count, **espeak)
    audio = "voicefarm_audio_seconds_total"
    assert after(audio, **espeak) - before(audio, **espeak) == pytest.approx(seconds)
    assert 0 < after("voicefarm_real_time_factor", **espeak) < 1
    for state, gained in (("succeeded", 3), ("failed", 1), ("cancelled", 0)):
        ended = "voicefarm_renderings_ended_total"
        assert after(ended, state=state) == before(ended, state=state) + gained
    assert (after("voicefarm_workers", **espeak), after("voicefarm_worker_slots", **espeak)) == (1, 2)
    assert after("voicefarm_cache_entries") > 0
    assert after("voicefarm_cache_bytes") > 10_000


def test_batches_and_budgets_are_shown(farm, http):
    wait_until_the_budget_was_looked_at(farm)
    before = scrape(farm.url)
    phrases = [f"Counted {uuid.uuid4().hex[:8]}." for _ in range(3)]
    http.post("/api/voice/prewarm", json={"phrases": phrases, "qualities": ["fast"]})
    ended = {"name": "voicefarm_batch_items_ended_total", "state": "succeeded"}
    until(lambda: scrape(farm.url)(**ended) == before(**ended) + 3, "the items have ended")
    after = scrape(farm.url)
    assert after("voicefarm_batches") == after("voicefarm_batch_items", state="queued") == 0
    assert after("voicefarm_budget_dollars", provider="espeak") == 1000
    assert after("voicefarm_budget_spent_dollars", provider="espeak") == 0


def test_nothing_that_was_said_and_nobodys_name_is_shown(farm, http):
    speak(http, "Xylophone in the fog.")
    text = PROMETHEUS.get(f"{farm.url}/metrics").text
    for secret in ("Xylophone", farm.admin_key, ZAC, "marcel"):
        assert secret not in text
    labels = {
        label for family in Scrape(text).families.values() for s in family.samples for label in s.labels
    }
    of_workers = {"worker", "memory"}
    assert labels == {"cache_status", "outcome", "provider", "state", "code", "redis", "le"} | of_workers


def test_what_waits_is_shown_with_its_age_and_a_redis_that_is_away_is_told(farm, http):
    until(lambda: scrape(farm.url)("voicefarm_renderings", state="running") == 0, "nothing is under way")
    jobs = {"cache_status": "MISS", "outcome": "job"}
    asked = scrape(farm.url)("voicefarm_requests_total", **jobs) + 3
    try:
        farm["espeak"].pause()
        for _ in range(3):
            speak(http, wait=0)
        begun = time.monotonic()
        until(
            lambda: scrape(farm.url)("voicefarm_queue_oldest_age_seconds", provider="espeak") > 0.5, "it ages"
        )
        waiting = scrape(farm.url)
        assert waiting("voicefarm_queue_depth", provider="espeak") == 3
        oldest_s = waiting("voicefarm_queue_oldest_age_seconds", provider="espeak")
        assert 0.5 < oldest_s < time.monotonic() - begun + 5
        assert waiting("voicefarm_renderings", state="queued") == 3
        assert waiting("voicefarm_renderings", state="running") == 0
        farm["espeak"].resume()
        until(lambda: scrape(farm.url)("voicefarm_renderings", state="queued") == 0, "the queue is empty")

        for hinder, relieve in ((farm.redis.pause, farm.redis.resume), (farm.redis.kill, farm.redis.start)):
            hinder()
            begun = time.monotonic()
            alone = scrape(farm.url)
            assert time.monotonic() - begun < 2
            for server in ("state", "audio"):
                assert alone("voicefarm_redis_up", redis=server) == 0
            assert alone("voicefarm_requests_total", **jobs) == asked
            assert "voicefarm_queue_depth" not in alone.families
            relieve()
            until(lambda: scrape(farm.url)("voicefarm_redis_up", redis="state") == 1, "it is back")
        until(lambda: scrape(farm.url)("voicefarm_workers", provider="espeak") == 1, "the worker is back")
    finally:
        farm.mend()


def test_the_processes_of_a_front_count_as_one(tmp_path):
    env = {"VOICEFARM_FRONT_PROCESSES": "2"}
    with running_farm(tmp_path, env=env) as farm, farm.client() as http:
        http.headers["Connection"] = "close"  # so that either process may take the next request

        def processes():
            return {file.stem.rpartition("_")[2] for file in (tmp_path / "metrics").glob("*.db")}

        until(lambda: len(processes()) == 2, "both count")
        for _ in range(21):
            speak(http, "Said by both of them.")
        seen = [scrape(farm.url) for _ in range(8)]
        hits = {"cache_status": "HIT", "outcome": "audio"}
        assert {each("voicefarm_requests_total", **hits) for each in seen} == {20}
        assert {each("voicefarm_request_seconds_count", **hits) for each in seen} == {20}
        assert seen[0]("process_resident_memory_bytes") > 2 * 20_000_000

        before = processes()
        farm["web"].stop()
        farm["web"].start()
        farm.wait_until_it_answers()
        assert scrape(farm.url)("voicefarm_requests_total", **hits) == 0, "a front that begins counts anew"
        until(lambda: len(processes()) == 2, "both count again")
        assert not processes() & before
