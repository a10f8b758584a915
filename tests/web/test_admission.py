"""What a front refuses when there is too much or nobody to do it, and what it serves all the same."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shared.cache import cache_key
from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.models import Audio, AudioFormat, SpeechRequest
from shared.presence import Worker
from shared.provider_stats import ProviderStats, Synthesis
from shared.resolution import resolve
from shared.scopes import Scope
from shared.settings import Settings
from web import create_app

if TYPE_CHECKING:
    from flask.testing import FlaskClient

SYNTHESIZE = "/api/voice/synthesize"
CACHED = "Spoken before."
PER_MINUTE, BACKLOG = 5, 8


@pytest.fixture
def farm(redis_server, tmp_path) -> Farm:
    """A farm with a worker that only says it lives, and one text in the cache."""
    settings = Settings.load(
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=str(redis_server.port),
        VOICEFARM_STATE_DIR=str(tmp_path),
        VOICEFARM_PROVIDERS="espeak",
        VOICEFARM_RATE_LIMIT_PER_MINUTE=str(PER_MINUTE),
        VOICEFARM_MAX_BACKLOG=str(BACKLOG),
    )
    migrate(settings)
    farm = Farm.from_settings(settings)
    farm.presence.beat(Worker("one", "espeak", slots=2, device="cpu", pid=1))
    utterance = resolve(SpeechRequest(text=CACHED), farm.personalities.default())
    audio = Audio(b"RIFF", AudioFormat.WAV, "espeak", duration_ms=1, sample_rate_hz=22050, degraded=False)
    farm.cache.store(cache_key(utterance, farm.router.digest), utterance, audio)
    return farm


class Caller:
    """Somebody with a key of their own."""

    def __init__(self, farm: Farm, name: str) -> None:
        self._app = create_app(farm=farm)
        self.farm = farm
        self.key, secret = farm.keys.create(Scope.SPEAK, name)
        self._headers = {"Authorization": f"Bearer {secret}"}

    def ask(self, text: str | None = None):
        client: FlaskClient = self._app.test_client()
        body = {"text": text or f"Something new: {uuid.uuid4()}."}
        return client.post(SYNTHESIZE, json=body, headers=self._headers)

    def use_up(self, times: int = PER_MINUTE) -> None:
        assert [self.ask().status_code for _ in range(times)] == [202] * times


@pytest.fixture
def caller(farm) -> Caller:
    return Caller(farm, "caller")


@pytest.fixture
def another(farm) -> Caller:
    return Caller(farm, "another")


def refuses(answer, status, code):
    """Assert that it is this problem, told as every answer of synthesize; gives its `Retry-After`."""
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.headers["X-Cache-Status"] == "MISS"
    assert answer.json["detail"]
    return int(answer.headers["Retry-After"])


def is_cached(answer):
    assert (answer.status_code, answer.headers["X-Cache-Status"]) == (200, "HIT")


def traces(farm):
    """Everything in the ledger."""
    return {
        key
        for kind in ("job", "rendering", "live", "queue", "due")
        for key in farm.state.keys(f"voice:{kind}*")
    }


# Too much of one key in a minute


def test_a_key_that_has_begun_what_it_may_is_refused_until_its_window_ends(farm, caller, another):
    caller.use_up()
    before = traces(farm)
    wait_s = refuses(caller.ask(), 429, "rate_limited")
    assert traces(farm) == before, "no job was left behind"
    [window] = farm.state.keys(f"voice:rate:*{caller.key.id}*")
    assert farm.state.pttl(window) <= wait_s * 1000 <= 60_000
    assert another.ask().status_code == 202
    farm.state.delete(window)  # as its expiry does
    assert caller.ask().status_code == 202


def test_over_its_limit_a_key_still_hears_what_is_cached_and_joins_what_is_under_way(caller, another):
    is_cached(caller.ask(CACHED))
    another.ask("Under way.")
    caller.use_up()
    refuses(caller.ask(), 429, "rate_limited")
    is_cached(caller.ask(CACHED))
    joined = caller.ask("Under way.")
    assert (joined.status_code, joined.headers["X-Cache-Status"]) == (202, "COALESCED")


def test_only_what_begins_a_synthesis_counts(caller):
    caller.ask("Again and again.")
    for _ in range(2 * PER_MINUTE):
        is_cached(caller.ask(CACHED))
        assert caller.ask("Again and again.").headers["X-Cache-Status"] == "COALESCED"
        assert caller.ask(" ").status_code == 422
    caller.use_up(PER_MINUTE - 1)
    refuses(caller.ask(), 429, "rate_limited")


def test_what_is_refused_for_another_reason_does_not_count(farm, caller, another):
    farm.presence.leave(Worker("one", "espeak", slots=2, device="cpu", pid=1))
    for _ in range(PER_MINUTE):
        refuses(caller.ask(), 503, "no_provider")
    farm.presence.beat(Worker("one", "espeak", slots=2, device="cpu", pid=1))
    another.use_up(PER_MINUTE)
    Caller(farm, "a third").use_up(BACKLOG - PER_MINUTE)
    for _ in range(PER_MINUTE):
        refuses(caller.ask(), 503, "queue_full")
    farm.state.delete("voice:queue:espeak")
    caller.use_up()


def test_many_at_once_begin_no_more_than_they_may(caller):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: caller.ask(), range(40)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(202), statuses.count(429)) == (PER_MINUTE, 40 - PER_MINUTE)


def test_a_state_that_hangs_is_told_as_everywhere(caller, redis_server):
    caller.ask()
    redis_server.pause()
    try:
        refuses(caller.ask(), 503, "state_unavailable")
    finally:
        redis_server.resume()


# Too much for one provider


@pytest.mark.parametrize(("service_ms", "wait_s"), [(4000, 20), (50, 1), (100_000, 60)])
def test_a_full_queue_tells_when_it_will_have_drained(farm, caller, another, service_ms, wait_s):
    ProviderStats(farm.state).note_synthesis("espeak", Synthesis(service_ms=service_ms, audio_ms=1000))
    another.use_up(PER_MINUTE)
    caller.use_up(BACKLOG - PER_MINUTE)
    before = traces(farm)
    assert refuses(caller.ask(), 503, "queue_full") == wait_s
    assert traces(farm) == before, "no job was left behind"


def test_what_is_cached_or_under_way_is_served_although_the_queue_is_full(caller, another):
    another.ask("Under way.")
    another.use_up(PER_MINUTE - 1)
    caller.use_up(BACKLOG - PER_MINUTE)
    refuses(caller.ask(), 503, "queue_full")
    is_cached(caller.ask(CACHED))
    assert caller.ask("Under way.").headers["X-Cache-Status"] == "COALESCED"


# Nobody to do it


def test_without_a_worker_nothing_is_taken_but_what_is_cached_is_served(farm, caller):
    farm.presence.leave(Worker("one", "espeak", slots=2, device="cpu", pid=1))
    assert refuses(caller.ask(), 503, "no_provider") >= 1
    assert traces(farm) == set()
    is_cached(caller.ask(CACHED))
