"""One worker process: claims a rendering, lets its provider speak, puts the audio where the front looks."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

import redis
import structlog

from shared.cache import Stored
from shared.errors import BadAudio, EngineFailed, EngineTimeout, ModelLoadFailed, ProviderError
from shared.ledger import ALL_FAILED, Attempt, Result, Waiting, log_fields
from shared.models import Audio
from shared.priorities import Priority
from shared.provider_stats import Synthesis
from shared.turns import next_turn
from workers.audio import join
from workers.encoding import encode
from workers.lease import Lease, LeaseLost, Loss
from workers.meter import Meter
from workers.providers.forked import end_copy
from workers.quality import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.cache import AudioCache, CachedAudio
    from shared.doorbell import Doorbell
    from shared.ledger import Claim, Ledger
    from shared.models import Utterance
    from shared.outcomes import Outcomes
    from shared.presence import Presence
    from shared.settings import Settings
    from workers.engine import Engine
    from workers.provider import AudioChunk

# A front that waits for the audio takes about so long to answer, and a small machine is left to it meanwhile.
_ANSWER_S = 0.001

_NOT_LOADED = "The engine could not be loaded; the worker's log says why."
_UNEXPECTED = "The engine failed unexpectedly; the worker's log says how."

log = structlog.get_logger()


@dataclass(slots=True)
class _Work:
    """One attempt under way."""

    claim: Claim
    meter: Meter
    refusals: list[Attempt] = field(default_factory=list)
    """Tries whose sound was refused."""
    synthesis: Synthesis | None = None
    """The end, if speech came of it."""


@dataclass(frozen=True, slots=True)
class _Spoken:
    """Audio that was made, or found."""

    result: Result
    data: bytes
    told: bytes | None = None
    """What the ledger has answered to it, if it was told."""


class Renderer:
    """What one process of a provider's pool does with a doorbell, in one thread or in several."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        worker: str,
        ledger: Ledger,
        cache: AudioCache,
        presence: Presence,
        outcomes: Outcomes,
        doorbell: Doorbell,
        on_usage: Callable[[], None] = lambda: None,
    ) -> None:
        """Wire it up; `on_usage` is called when an attempt has written down what it used."""
        self.name = engine.spec.name
        self.engine = engine
        self._settings = settings
        self._worker = worker
        self._ledger = ledger
        self._cache = cache
        self._presence = presence
        self._outcomes = outcomes
        self._doorbell = doorbell
        self._on_usage = on_usage

    def _price_usd(self, utterance: Utterance) -> Decimal:
        return Decimal(str(self.engine.price_usd(utterance)))

    def render(self, rendering_id: str) -> None:
        """Take one attempt at a rendering, if it is still to be had."""
        claim = self._ledger.claim(rendering_id, self.name, self._worker)
        if isinstance(claim, Waiting):
            self._redirect(claim)
        elif claim is not None:
            if claim.rendering_id != rendering_id:  # somebody waits for that one, nobody for this
                self._doorbell.ring(Priority.PREWARM.queue(self.name), rendering_id)
                structlog.contextvars.bind_contextvars(**log_fields(claim.rendering_id))
            structlog.contextvars.bind_contextvars(request_id=claim.request_id)
            self._attempt(claim)

    def _redirect(self, waiting: Waiting) -> None:
        """Find another provider while the circuit of this one is open; else the sweep rings again."""
        provider = self._ledger.redirect(waiting, self._presence.roll_call())
        if provider is not None:
            self._doorbell.ring(waiting.priority.queue(provider), waiting.rendering_id)

    def _attempt(self, claim: Claim) -> None:
        work = _Work(claim, Meter(claim, self._price_usd))
        # What the engine does in a process of its own need not be waited for.
        lease = Lease(
            self._ledger,
            claim,
            limit_s=self._settings.synthesis_timeout_seconds,
            is_stuck=self.engine.is_stuck,
            on_loss=partial(end_copy, get_ident()),
            on_hang=partial(self._end_process, work),
        )
        try:
            with lease:
                spoken = self._result(work, lease)
        except LeaseLost as lost:
            self._stop(work, lost.why)
        except ProviderError as error:
            self._pass_on(work, error)
        except Exception:
            # The one place that catches everything: the next provider is to speak, and the trace is logged.
            self._pass_on(work, EngineFailed(_UNEXPECTED))
            raise
        else:
            has_succeeded = self._ledger.succeed(
                claim, spoken.result, spoken.data, work.refusals, usage=work.meter.usage(), told=spoken.told
            )
            if has_succeeded:
                work.synthesis = Synthesis(work.meter.elapsed_ms, spoken.result.duration_ms)
                time.sleep(_ANSWER_S)
        finally:
            self._note_outcome(work)

    def _result(self, work: _Work, lease: Lease) -> _Spoken:
        """Make the audio and cache it, or give what an attempt cached that died before it could say so."""
        claim = work.claim
        if claim.attempt > 1 and (found := self._cached(claim)):
            return _Spoken(Result.of_cached(found), found.data)
        audio = self._speak(work, lease)
        lease.check()
        return self._cache_audio(work, audio)

    def _cached(self, claim: Claim) -> CachedAudio | None:
        try:
            found = self._cache.look(claim.cache_key)
        except redis.RedisError:
            return None
        return None if found is None or found.metadata.degraded else found

    def _speak(self, work: _Work, lease: Lease) -> Audio:
        """Let the provider speak, and once more where its sound was refused and may be better then."""
        try:
            return self._speak_once(work, lease, seed=0)
        except BadAudio as refusal:
            if not self.engine.spec.is_random:
                raise
            log.warning("sound_refused", code=refusal.code, detail=refusal.detail)
            self._outcomes.refused(self.name, refusal.code)
            work.refusals.append(self._failure(work, refusal))
            return self._speak_once(work, lease, seed=1)

    def _speak_once(self, work: _Work, lease: Lease, *, seed: int) -> Audio:
        """Give speech that may be cached and sent; it is on its way while it is judged."""
        claim = work.claim

        def chunks() -> Iterator[AudioChunk]:
            for chunk in work.meter.measure(self.engine.synthesize(claim.utterance, seed=seed)):
                lease.check()
                yield chunk

        try:
            sound = join(chunks())
            audio = self._encode(sound, claim)
            self._cache.send_ahead(claim.cache_key, audio)
            judge(sound, claim.utterance)
        except ProviderError:
            lease.check()  # it may have been ended
            raise
        return audio

    def _encode(self, sound: AudioChunk, claim: Claim) -> Audio:
        encoded = encode(sound, claim.utterance.format)
        return Audio(
            data=encoded.data,
            format=claim.utterance.format,
            provider=self.name,
            duration_ms=encoded.duration_ms,
            sample_rate_hz=encoded.sample_rate_hz,
            degraded=claim.chain.index(self.name) > 0,
        )

    def _cache_audio(self, work: _Work, audio: Audio) -> _Spoken:
        """Have the cache keep it and, if the ledger is there, tell that; else the job alone keeps it."""
        claim, cached = work.claim, Result.of(work.claim.cache_key, audio, cached=True)
        telling = self._ledger.succeeding(claim, cached, work.refusals, usage=work.meter.usage())
        try:
            stored = self._cache.store(
                claim.cache_key, claim.utterance, audio, copy_as=claim.draft, then=telling
            )
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            stored = Stored(is_kept=False)
        return _Spoken(replace(cached, cached=stored.is_kept), audio.data, stored.told)

    def _stop(self, work: _Work, why: Loss) -> None:
        """End an attempt whose lease is lost."""
        log.info("attempt_stopped", why=why)
        usage = work.meter.usage()
        if why in {Loss.OVERDUE, Loss.STUCK}:
            self._pass_on(work, self._timeout(why))
        elif why is Loss.ABANDONED:
            if self._ledger.abandon(work.claim, usage) == "queued":
                self._doorbell.ring(self.name, work.claim.rendering_id)
        elif usage:
            self._ledger.note_usage(usage)

    def _timeout(self, why: Loss) -> EngineTimeout:
        if why is Loss.STUCK:
            return EngineTimeout(f"The engine made no step for {self._settings.torch_stall_seconds} s.")
        return EngineTimeout(f"The engine did not end within {self._settings.synthesis_timeout_seconds} s.")

    def _end_process(self, work: _Work, why: Loss) -> None:
        """End this process, whose engine hangs, once the next provider has the work; its pool replaces it."""
        try:
            self._pass_on(work, self._timeout(why))
        finally:
            log.error("engine_hangs", why=why)
            os._exit(os.EX_SOFTWARE)

    def _pass_on(self, work: _Work, error: ProviderError) -> None:
        """Have the next provider speak, or end the rendering when all have failed."""
        log.warning("attempt_failed", code=error.code, detail=error.detail)
        claim, failures = work.claim, [*work.refusals, self._failure(work, error)]
        turn = next_turn(claim.chain, [*claim.attempts, *failures], self._presence.roll_call())
        this, usage = (claim.rendering_id, claim.attempt), work.meter.usage()
        if turn is None:
            self._ledger.fail(*this, "synthesis_failed", ALL_FAILED, failures, usage=usage)
        else:
            told = [*failures, *turn.passed_over]
            if self._ledger.pass_on(*this, turn.provider, told, usage=usage) == "queued":
                self._doorbell.ring(turn.provider, claim.rendering_id)
        self._outcomes.failed(
            self.name,
            error.code,
            duration_ms=work.meter.elapsed_ms,
            is_provider_fault=error.is_provider_fault,
            is_probe=claim.is_probe,
        )

    def _failure(self, work: _Work, error: ProviderError) -> Attempt:
        # What a failed load says of itself names this machine's paths.
        detail = _NOT_LOADED if isinstance(error, ModelLoadFailed) else error.detail
        return Attempt(self.name, error.code, detail, round(work.meter.elapsed_ms))

    def _note_outcome(self, work: _Work) -> None:
        usage, spoken = work.meter.usage(), work.synthesis
        if usage:
            self._on_usage()
        if spoken:
            log.info("rendered", duration_ms=round(spoken.service_ms, 1), audio_ms=spoken.audio_ms)
            self._outcomes.spoke(self.name, spoken, usage, is_probe=work.claim.is_probe)
        elif usage:
            self._outcomes.used(usage)
