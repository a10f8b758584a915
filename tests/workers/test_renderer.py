"""What a worker process does with a doorbell when the engine fails, is cancelled or was overtaken."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pytest

from shared.cache import AudioCache
from shared.catalog import ProviderSpec
from shared.circuits import CIRCUITS
from shared.errors import EngineFailed, ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.ledger import Status, Sweep
from shared.outcomes import Outcomes
from shared.presence import Presence, Worker
from shared.provider_stats import ProviderStats, ProviderTotals
from shared.settings import Settings
from shared.usage import Outbox
from tests.farm import until
from tests.shared.ledger.machine import CHAIN, KEYS, LEASE_MS, UTTERANCE, Bell, make_ledger, submit
from workers import lease as lease_module
from workers.engine import Engine
from workers.lease import Lease, LeaseLost
from workers.provider import AudioChunk
from workers.providers.forked import ForkedFunction
from workers.renderer import Renderer

TONE = np.sin(np.linspace(0, 600, 4410)).astype(np.float32) / 2
began, go_on = threading.Event(), threading.Event()


class Sounding:
    """Speaks a tone for everything."""

    @classmethod
    def from_settings(cls, _settings):
        return cls()

    def load(self):
        pass

    def price_usd(self, _utterance):
        return 0.01

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        yield AudioChunk(TONE, 22050)


class Unloadable(Sounding):
    """Has no model."""

    def load(self):
        raise ModelLoadFailed("/secret/model.pth is broken: install it again")


class Voiceless(Sounding):
    """Does not know the voice, after a first sound."""

    def synthesize(self, utterance, *, seed=0):
        yield from super().synthesize(utterance, seed=seed)
        raise VoiceNotFound("there is no voice 'x'")


class Wordless(Sounding):
    """Finds nothing to say."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        raise NothingToSay


class Failing(Sounding):
    """Says that it failed."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        raise EngineFailed("out of breath")


class Buggy(Sounding):
    """Fails in a way nobody thought of."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        raise ZeroDivisionError


class Silent(Sounding):
    """Gives silence for speech."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        yield AudioChunk(np.zeros(4410, np.float32), 22050)


class NotANumber(Sounding):
    """Gives samples that are none."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        yield AudioChunk(np.full(4410, np.nan, np.float32), 22050)


class Nothing(Sounding):
    """Gives no sound at all."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        yield from ()


class Babbling(Sounding):
    """Goes on long after the text."""

    tries = 0

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        type(self).tries += 1
        yield AudioChunk(np.tile(TONE, 150), 22050)


class Wavering(Babbling):
    """Speaks well at another seed than the first only."""

    def synthesize(self, utterance, *, seed=0):
        yield from (Babbling if seed == 0 else Sounding).synthesize(self, utterance, seed=seed)


class BabblingSlowly(Babbling):
    """Gives its sound, and ends when the test lets it."""

    def synthesize(self, utterance, *, seed=0):
        yield from super().synthesize(utterance, seed=seed)
        began.set()
        assert go_on.wait(20)


class Slow(Sounding):
    """Waits between two sounds until the test lets it go on."""

    def synthesize(self, utterance, *, seed=0):
        yield from super().synthesize(utterance, seed=seed)
        began.set()
        assert go_on.wait(20)
        yield from super().synthesize(utterance, seed=seed)


class Hanging(Sounding):
    """Speaks in a copy of the process, which never ends by itself."""

    def synthesize(self, utterance, *, seed=0):  # noqa: ARG002
        began.set()
        yield AudioChunk(np.frombuffer(ForkedFunction(signal.pause, limit_s=60)(), np.float32), 22050)


@pytest.fixture
def lost(monkeypatch):
    """Set once a lease has learnt that it is lost."""
    event, end = threading.Event(), Lease._end

    def tell_and_end(*what):
        event.set()
        end(*what)

    monkeypatch.setattr(Lease, "_end", tell_and_end)
    return event


@pytest.fixture
def redis(redis_server):
    return redis_server.client(1)


@pytest.fixture
def ledger(redis):
    return make_ledger(redis)


@pytest.fixture
def bell():
    return Bell()


@pytest.fixture
def cache(redis_server):
    return AudioCache(
        redis_server.client(2), ttl_s=100, degraded_ttl_s=10, max_size_bytes=1_000_000, state_db="1"
    )


@pytest.fixture
def renderer(redis, ledger, cache, bell):
    def make(provider, name=CHAIN[0], *, is_random=False, synthesis_timeout_s=120):
        presence = Presence(redis)
        for pool in CHAIN:
            presence.beat(Worker(name=pool, provider=pool, slots=1, device="cpu", pid=1))
        spec = ProviderSpec(
            name=name, title=name, module=f"{__name__}:{provider.__name__}", requires=(), extra="none",
            languages=frozenset({"en"}), clones=False, is_random=is_random,
        )  # fmt: skip
        settings = Settings.load(VOICEFARM_SYNTHESIS_TIMEOUT_SECONDS=str(synthesis_timeout_s))
        return Renderer(
            Engine(spec, settings), settings, worker="test", ledger=ledger, cache=cache, presence=presence,
            outcomes=Outcomes(redis), doorbell=bell,
        )  # fmt: skip

    return make


def cancel_at_work(ledger, renderer, job_id, submitted, lost):
    """Cancel the job while its provider waits for it, and let that go on."""
    began.clear()
    go_on.clear()
    work = threading.Thread(target=renderer.render, args=(submitted.rendering_id,))
    work.start()
    assert began.wait(20)
    assert ledger.leave(job_id) == "left"
    assert lost.wait(20), "the lease has learnt that nobody wants the audio"
    go_on.set()
    work.join()


def test_speech_is_stored_cached_and_told(ledger, cache, renderer):
    job_id, submitted = submit(ledger, KEYS[0])
    renderer(Sounding).render(submitted.rendering_id)
    job = ledger.job(job_id)
    assert (job.status, job.provider, job.attempts) == (Status.SUCCEEDED, CHAIN[0], ())
    about, data = job.result, ledger.audio(submitted.rendering_id)
    assert (about.duration_ms, about.degraded, about.size_bytes) == (200, False, len(data))
    assert cache.look(KEYS[0]).data == data


def test_audio_is_sent_to_the_server_once(redis, ledger, renderer):
    first, second = (submit(ledger, key)[1] for key in KEYS[:2])
    speaking = renderer(Sounding)
    speaking.render(first.rendering_id)  # the server learns the scripts
    redis.config_resetstat()
    speaking.render(second.rendering_id)
    received, size = redis.info("stats")["total_net_input_bytes"], len(ledger.audio(second.rendering_id))
    assert size < received < 2 * size


@pytest.mark.parametrize(
    ("provider", "code", "told"),
    [
        (Unloadable, "model_load_failed", "worker's log"),
        (Voiceless, "voice_not_found", "no voice 'x'"),
        (Failing, "engine_failed", "out of breath"),
        (Wordless, "nothing_to_say", "nothing to say"),
        (Silent, "silent_audio", "nothing can be heard"),
        (NotANumber, "broken_audio", "no numbers"),
        (Babbling, "runaway_audio", "too long"),
        (Nothing, "engine_failed", "no sound"),
    ],
)
def test_a_failing_provider_leads_to_the_next_one(ledger, cache, renderer, bell, provider, code, told):
    job_id, submitted = submit(ledger, KEYS[0])
    renderer(provider).render(submitted.rendering_id)
    [attempt] = ledger.job(job_id).attempts
    assert (attempt.provider, attempt.code) == (CHAIN[0], code)
    assert told in attempt.detail
    assert "/secret" not in attempt.detail, "no path leaves the worker"
    assert bell.messages == [(CHAIN[1], submitted.rendering_id)]
    assert cache.look(KEYS[0]) is None, "what failed is not cached"

    renderer(Sounding, CHAIN[1]).render(submitted.rendering_id)
    job = ledger.job(job_id)
    assert (job.status, job.provider, job.result.degraded) == (Status.SUCCEEDED, CHAIN[1], True)


def test_what_a_provider_did_is_counted(redis, ledger, renderer):
    for key in KEYS[:2]:
        renderer(Sounding).render(submit(ledger, key)[1].rendering_id)
    renderer(Voiceless).render(submit(ledger, KEYS[2])[1].rendering_id)
    renderer(Sounding).render("never:heard-of")
    totals = ProviderStats(redis).totals(CHAIN)
    spoke = totals[CHAIN[0]]
    assert sum(spoke.syntheses_by_time) == 2
    assert spoke.audio_s == pytest.approx(0.4)
    assert 0 < spoke.service_s < 5
    assert spoke.real_time_factor == pytest.approx(spoke.service_s / spoke.audio_s)
    assert spoke.failures == {"voice_not_found": 1}
    assert totals[CHAIN[1]] == ProviderTotals()
    assert spoke.characters == 3 * len(UTTERANCE.text), "also of the text that was spoken in vain"


def written_down(redis):
    """Give what attempts have used, as {(rendering, attempt): usage}."""
    usages = [entry.usage for batch in Outbox(redis).batches() for entry in batch]
    return {(usage.rendering_id, usage.attempt): usage for usage in usages}


def test_what_an_attempt_used_is_written_down_with_its_audio(redis, ledger, renderer, monkeypatch):
    job_id, submitted = submit(ledger, KEYS[0])
    succeed = ledger.succeed

    def end_and_die(*what, **more):
        succeed(*what, **more)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "succeed", end_and_die)
        with pytest.raises(SystemExit):
            renderer(Sounding).render(submitted.rendering_id)
    assert ledger.job(job_id).status is Status.SUCCEEDED
    [usage] = written_down(redis).values()
    assert (usage.provider, usage.personality_id) == (CHAIN[0], UTTERANCE.personality_id)
    assert (usage.characters, usage.audio_ms, usage.cost_usd) == (len(UTTERANCE.text), 200, Decimal("0.01"))


@pytest.mark.parametrize("refused", [Silent, NotANumber, Voiceless])
def test_what_was_used_in_vain_is_written_down_for_each_attempt(redis, ledger, renderer, refused):
    _, submitted = submit(ledger, KEYS[0])
    for name in CHAIN:
        renderer(refused, name).render(submitted.rendering_id)
    assert list(written_down(redis)) == [(submitted.rendering_id, attempt) for attempt in (1, 2)]
    assert [usage.provider for usage in written_down(redis).values()] == list(CHAIN)


@pytest.mark.parametrize("provider", [Unloadable, Failing, Buggy, Nothing])
def test_who_made_no_sound_has_used_nothing(redis, ledger, renderer, provider):
    _, submitted = submit(ledger, KEYS[0])
    with suppress(ZeroDivisionError):
        renderer(provider).render(submitted.rendering_id)
    assert written_down(redis) == {}


def test_the_writer_is_woken_once_what_was_used_is_written_down(redis, ledger, renderer):
    seen = []
    speaking, failing = renderer(Sounding), renderer(Failing)
    for each in (speaking, failing):
        each._on_usage = lambda: seen.append(len(written_down(redis)))
    speaking.render(submit(ledger, KEYS[0])[1].rendering_id)
    failing.render(submit(ledger, KEYS[1])[1].rendering_id)
    assert seen == [1]


def test_sound_that_is_refused_is_made_once_more_where_it_may_be_better(redis, ledger, cache, renderer):
    job_id, submitted = submit(ledger, KEYS[0])
    renderer(Wavering, is_random=True).render(submitted.rendering_id)
    job = ledger.job(job_id)
    assert (job.status, job.provider, job.result.degraded) == (Status.SUCCEEDED, CHAIN[0], False)
    assert [(told.provider, told.code) for told in job.attempts] == [(CHAIN[0], "runaway_audio")]
    assert job.result.duration_ms == 200
    assert cache.look(KEYS[0]).data == ledger.audio(submitted.rendering_id), "what was refused is not cached"
    totals = ProviderStats(redis).totals(CHAIN)[CHAIN[0]]
    assert (totals.failures, sum(totals.syntheses_by_time)) == ({"runaway_audio": 1}, 1)


@pytest.mark.parametrize(("is_random", "tries"), [(True, 2), (False, 1)])
def test_after_the_last_refusal_the_next_provider_speaks(redis, ledger, renderer, bell, is_random, tries):
    job_id, submitted = submit(ledger, KEYS[0])
    Babbling.tries = 0
    renderer(Babbling, is_random=is_random).render(submitted.rendering_id)
    assert Babbling.tries == tries
    assert ProviderStats(redis).totals(CHAIN)[CHAIN[0]].failures == {"runaway_audio": tries}
    assert [attempt.code for attempt in ledger.job(job_id).attempts] == ["runaway_audio"] * tries
    assert bell.messages == [(CHAIN[1], submitted.rendering_id)]

    renderer(Sounding, CHAIN[1]).render(submitted.rendering_id)
    assert ledger.job(job_id).status is Status.SUCCEEDED


def test_sound_that_is_refused_is_not_made_again_when_nobody_wants_it_any_more(redis, renderer, lost):
    ledger = make_ledger(redis)
    ledger.lease_ms = 300
    babbling = renderer(BabblingSlowly, is_random=True)
    babbling._ledger = ledger
    BabblingSlowly.tries = 0
    job_id, submitted = submit(ledger, KEYS[0])
    cancel_at_work(ledger, babbling, job_id, submitted, lost)
    assert BabblingSlowly.tries == 1
    assert ledger.job(job_id).attempts == ()


def test_an_unexpected_error_is_recorded_and_raised(ledger, renderer, bell):
    job_id, submitted = submit(ledger, KEYS[0])
    with pytest.raises(ZeroDivisionError):
        renderer(Buggy).render(submitted.rendering_id)
    assert ledger.job(job_id).attempts[0].code == "engine_failed"
    assert bell.messages == [(CHAIN[1], submitted.rendering_id)]


def test_while_its_circuit_is_open_a_provider_hands_over_without_an_attempt(redis, ledger, renderer, bell):
    job_id, submitted = submit(ledger, KEYS[0])
    redis.zadd(CIRCUITS, {CHAIN[0]: ledger.frozen_ms + 1})
    renderer(Sounding).render(submitted.rendering_id)
    assert bell.messages == [(CHAIN[1], submitted.rendering_id)]
    [told] = ledger.job(job_id).attempts
    assert (told.provider, told.code, told.duration_ms) == (CHAIN[0], "circuit_open", 0)
    renderer(Sounding, CHAIN[1]).render(submitted.rendering_id)
    job = ledger.job(job_id)
    assert (job.status, job.result.degraded) == (Status.SUCCEEDED, True)


def test_when_every_circuit_is_open_the_work_waits(redis, ledger, renderer, bell):
    job_id, submitted = submit(ledger, KEYS[0])
    redis.zadd(CIRCUITS, dict.fromkeys(CHAIN, ledger.frozen_ms + 1))
    renderer(Sounding).render(submitted.rendering_id)
    assert (ledger.job(job_id).status, bell.messages) == (Status.QUEUED, [])


def test_a_probe_that_speaks_closes_the_circuit(redis, ledger, renderer):
    _, submitted = submit(ledger, KEYS[0])
    redis.zadd(CIRCUITS, {CHAIN[0]: ledger.frozen_ms})
    renderer(Failing).render(submitted.rendering_id)
    assert redis.zscore(CIRCUITS, CHAIN[0]), "it failed, so nobody follows it"
    _, submitted = submit(ledger, KEYS[1])
    redis.zadd(CIRCUITS, {CHAIN[0]: ledger.frozen_ms})
    renderer(Sounding).render(submitted.rendering_id)
    assert redis.zscore(CIRCUITS, CHAIN[0]) is None


def test_a_lost_worker_is_a_failure_of_its_provider(redis, ledger, bell):
    _, submitted = submit(ledger, KEYS[0])
    ledger.claim(submitted.rendering_id, CHAIN[0], "worker")
    ledger.frozen_ms += LEASE_MS
    Sweep(ledger, Presence(redis), bell, Outcomes(redis)).once()
    assert ProviderStats(redis).totals(CHAIN)[CHAIN[0]].failures == {"worker_lost": 1}


def test_an_engine_that_takes_too_long_is_stopped_and_the_next_one_speaks(ledger, renderer, bell):
    job_id, submitted = submit(ledger, KEYS[0])
    began.clear()
    renderer(Hanging, synthesis_timeout_s=1).render(submitted.rendering_id)
    [attempt] = ledger.job(job_id).attempts
    assert (attempt.provider, attempt.code) == (CHAIN[0], "timed_out")
    assert 1000 <= attempt.duration_ms < 10_000
    assert bell.messages == [(CHAIN[1], submitted.rendering_id)]


def test_when_all_have_failed_the_job_fails_with_every_attempt(ledger, renderer):
    job_id, submitted = submit(ledger, KEYS[0])
    for name in CHAIN:
        renderer(Failing, name).render(submitted.rendering_id)
    job = ledger.job(job_id)
    assert (job.status, job.error.code) == (Status.FAILED, "synthesis_failed")
    assert [attempt.provider for attempt in job.attempts] == list(CHAIN)


def test_a_doorbell_for_nothing_is_not_answered(ledger, renderer):
    job_id, submitted = submit(ledger, KEYS[0])
    renderer(Sounding).render(submitted.rendering_id)
    renderer(Failing).render(submitted.rendering_id)
    renderer(Failing).render("never:heard-of")
    assert ledger.job(job_id).status is Status.SUCCEEDED


def test_an_attempt_that_died_after_it_was_cached_leaves_one_effect(ledger, cache, renderer, monkeypatch):
    job_id, submitted = submit(ledger, KEYS[0])

    def die(*_, **__):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "succeed", die)
        with pytest.raises(SystemExit):
            renderer(Sounding).render(submitted.rendering_id)
    ledger.frozen_ms += ledger.lease_ms
    ledger.sweep()
    spoken = cache.look(KEYS[0]).data
    renderer(Failing).render(submitted.rendering_id)
    assert ledger.job(job_id).status is Status.SUCCEEDED
    assert cache.look(KEYS[0]).data == spoken
    assert cache.stats().sets == 1, "it was made and stored once"


def test_what_lost_its_lease_is_ended_until_it_stops(ledger):
    """It may have been between two steps, and be at the next."""
    _, submitted = submit(ledger, KEYS[0])
    claim, ended = ledger.claim(submitted.rendering_id, CHAIN[0], "worker"), []
    with Lease(
        ledger, claim, limit_s=0.05, is_stuck=lambda: False, on_loss=lambda: ended.append(1), on_hang=print
    ) as lease:
        until(lambda: len(ended) >= 3, "it is ended again", 10)
        with pytest.raises(LeaseLost):
            lease.check()


def test_only_what_takes_a_while_has_a_keeper(ledger, monkeypatch):
    kept = []

    def keep(lease):
        kept.append(lease)

    monkeypatch.setattr(Lease, "_keep", keep)

    def lease():
        return Lease(ledger, None, limit_s=9, is_stuck=bool, on_loss=print, on_hang=print)

    for _ in range(100):
        with lease():
            pass
    with lease() as first, lease() as second:
        until(lambda: len(kept) == 2, "both are kept", 10)
    assert set(kept) == {first, second}
    with lease() as third:
        until(lambda: len(kept) == 3, "so is one after a time without any", 10)
    assert kept[-1] is third


def test_a_lease_for_which_no_thread_is_left_gets_its_keeper_later(ledger, monkeypatch):
    kept, submit_to = [], lease_module._KEEPERS.submit
    tries = iter([RuntimeError("can't start new thread"), None])

    def submit_reluctantly(keep):
        if failure := next(tries, None):
            raise failure
        return submit_to(keep)

    def keep(lease):
        kept.append(lease)

    monkeypatch.setattr(lease_module._KEEPERS, "submit", submit_reluctantly)
    monkeypatch.setattr(Lease, "_keep", keep)
    with Lease(ledger, None, limit_s=9, is_stuck=bool, on_loss=print, on_hang=print) as lease:
        until(lambda: kept == [lease], "it is kept in the end", 10)


def test_a_cancelled_rendering_does_not_wait_for_its_engine(redis, ledger, cache, renderer):
    job_id, submitted = submit(ledger, KEYS[0])
    began.clear()
    work = threading.Thread(target=renderer(Hanging).render, args=(submitted.rendering_id,))
    work.start()
    assert began.wait(20)
    ledger.leave(job_id)
    work.join(ledger.lease_ms / 3000)
    assert not work.is_alive(), "it is told before a third of the lease is over"
    assert redis.hget(f"voice:rendering:{submitted.rendering_id}", "state") == b"cancelled"
    assert ledger.job(job_id).attempts == (), "the engine did not fail"
    assert cache.look(KEYS[0]) is None


def test_a_cancelled_rendering_stops_and_leaves_no_audio(redis, cache, renderer, lost):
    ledger = make_ledger(redis)
    ledger.lease_ms = 300
    slow = renderer(Slow)
    slow._ledger = ledger
    job_id, submitted = submit(ledger, KEYS[0])
    cancel_at_work(ledger, slow, job_id, submitted, lost)
    assert ledger.job(job_id).status is Status.CANCELLED
    assert [usage.audio_ms for usage in written_down(redis).values()] == [400], "what had sounded by then"
    assert redis.hget(f"voice:rendering:{submitted.rendering_id}", "state") == b"cancelled"
    assert cache.look(KEYS[0]) is None


def test_an_attempt_that_was_overtaken_writes_down_what_it_used_and_nothing_else(redis, renderer, lost):
    ledger = make_ledger(redis)
    ledger.lease_ms = 300
    slow = renderer(Slow)
    slow._ledger = ledger
    job_id, submitted = submit(ledger, KEYS[0])
    began.clear()
    go_on.clear()
    work = threading.Thread(target=slow.render, args=(submitted.rendering_id,))
    work.start()
    assert began.wait(20)
    redis.hset(f"voice:rendering:{submitted.rendering_id}", "attempt", 2)
    assert lost.wait(20)
    go_on.set()
    work.join()
    assert ledger.job(job_id).status is Status.RUNNING, "it is the other's"
    assert list(written_down(redis)) == [(submitted.rendering_id, 1)]
