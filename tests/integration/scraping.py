"""Scraping a farm's `/metrics` as Prometheus does, and having it show all that it can."""

from __future__ import annotations

import uuid

import httpx
from prometheus_client.parser import text_string_to_metric_families

from shared.connections import worker_client
from shared.presence import Presence, Worker
from tests.edits import setting
from tests.farm import until

SYNTHESIZE = "/api/voice/synthesize"
ZAC = "00000000-0000-0000-0001-000000000003"


class Scrape:
    """What one scrape saw."""

    def __init__(self, text) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._values = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name, **labels) -> float:
        return self._values.get((name, *sorted(labels.items())), 0.0)


# An SSL context for each would take most of the time of these tests.
PROMETHEUS = httpx.Client(trust_env=False, verify=False, headers={"Connection": "close"})  # noqa: S501


def scrape(url) -> Scrape:
    """Scrape over a connection of its own, without a key."""
    answer = PROMETHEUS.get(f"{url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)


def speak(http, text=None, *, wait=20, **fields):
    text = text or f"Counted {uuid.uuid4().hex[:8]}."
    return http.post(SYNTHESIZE, json={"text": text, **fields}, headers={"Prefer": f"wait={wait}"})


def wait_until_the_budget_was_looked_at(farm):
    """Return once a worker has told what is spent; it does so when it begins, and nobody waits for that."""
    spent = "voicefarm_budget_spent_dollars"
    until(lambda: scrape(farm.url).families[spent].samples, "the budget was looked at")


def scrape_everything(farm, http, personalities) -> Scrape:
    """Scrape once every metric has a sample: after speech and a failure, while a worker tells its memory."""
    voice = personalities.get(ZAC).voice_config
    personalities.change(ZAC, setting(voice_config=voice.model_copy(update={"voices": {"espeak": "nobody"}})))
    cloner = Worker("xtts_v2@test", "xtts_v2", 1, "cuda:0", 1, memory_bytes=1, device_memory_bytes=1)
    presence = Presence(worker_client(farm.settings.state_url))
    try:
        speak(http)
        speak(http, personality_id=ZAC)
        presence.beat(cloner)
        wait_until_the_budget_was_looked_at(farm)
        return scrape(farm.url)
    finally:
        personalities.change(ZAC, setting(voice_config=voice))
        presence.leave(cloner)
