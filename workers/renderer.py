"""One worker process: claims a rendering, lets its provider speak, puts the audio where the front looks."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal
from functools import partial
from threading import Lock, get_ident
from typing import TYPE_CHECKING

import redis
import structlog

from shared.errors import EngineFailed, EngineTimeout, ModelLoadFailed, ProviderError
from shared.ledger import ALL_FAILED, Attempt, Result, Waiting
from shared.models import Audio
from shared.provider_stats import Synthesis
from shared.turns import next_turn
from workers.audio import join
from workers.encoding import encode
from workers.lease import Lease, LeaseLost, Loss
from workers.meter import Meter
from workers.provider import load_provider
from workers.providers.forked import end_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.cache import AudioCache
    from shared.catalog import ProviderSpec
    from shared.doorbell import Doorbell
    from shared.ledger import Claim, Ledger
    from shared.models import Utterance
    from shared.outcomes import Outcomes
    from shared.presence import Presence
    from shared.settings import Settings
    from workers.provider import AudioChunk, Provider

_NOT_LOADED = "The engine could not be loaded; the worker's log says why."
_UNEXPECTED = "The engine failed unexpectedly; the worker's log says how."

log = structlog.get_logger()


class Renderer:
    """What one process of a provider's pool does with a doorbell, in one thread or in several."""

    def __init__(
        self,
        spec: ProviderSpec,
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
        self.name = spec.name
        self._spec = spec
        self._settings = settings
        self._provider: Provider | None = None
        self._loading = Lock()
        self._worker = worker
        self._ledger = ledger
        self._cache = cache
        self._presence = presence
        self._outcomes = outcomes
        self._doorbell = doorbell
        self._on_usage = on_usage

    def warm_up(self) -> None:
        """Load the engine before the first task; a failure is logged, and told to every task that comes."""
        try:
            self._engine()
        except ProviderError as error:
            log.warning("load_failed", provider=self.name, code=error.code, detail=error.detail)

    def _engine(self) -> Provider:
        with self._loading:
            if self._provider is None:
                provider = load_provider(self._spec, self._settings)
                provider.load()
                self._provider = provider
            return self._provider

    def _price_usd(self, utterance: Utterance) -> Decimal:
        return Decimal(str(self._engine().price_usd(utterance)))

    def render(self, rendering_id: str) -> None:
        """Take one attempt at a rendering, if it is still to be had."""
        claim = self._ledger.claim(rendering_id, self.name, self._worker)
        if isinstance(claim, Waiting):
            self._redirect(claim)
        elif claim is not None:
            structlog.contextvars.bind_contextvars(request_id=claim.request_id)
            self._attempt(claim)

    def _redirect(self, waiting: Waiting) -> None:
        """Find another provider while the circuit of this one is open; else the sweep rings again."""
        provider = self._ledger.redirect(waiting, self._presence.roll_call())
        if provider is not None:
            self._doorbell.ring(provider, waiting.rendering_id)

    def _attempt(self, claim: Claim) -> None:
        meter = Meter(claim, self._price_usd)
        # What the engine does in a copy of this process need not be waited for.
        lease = Lease(
            self._ledger,
            claim,
            limit_s=self._settings.synthesis_timeout_seconds,
            on_loss=partial(end_copy, get_ident()),
            on_hang=partial(self._end_process, claim, meter),
        )
        try:
            with lease:
                result = self._result(claim, lease, meter)
        except LeaseLost as lost:
            if lost.why is Loss.OVERDUE:
                self._pass_on(claim, self._timeout(), meter)
            else:
                self._stop(claim, lost.why, meter)
        except ProviderError as error:
            self._pass_on(claim, error, meter)
        except Exception:
            # The one place that catches everything: the next provider is to speak, and the trace is logged.
            self._pass_on(claim, EngineFailed(_UNEXPECTED), meter)
            raise
        else:
            if self._ledger.succeed(claim, result):
                synthesis = Synthesis(meter.elapsed_ms, result.duration_ms)
                log.info("rendered", duration_ms=round(synthesis.service_ms, 1), audio_ms=synthesis.audio_ms)
                self._outcomes.spoke(self.name, synthesis, is_probe=claim.is_probe)
        finally:
            self._note(meter)

    def _timeout(self) -> EngineTimeout:
        return EngineTimeout(f"The engine did not end within {self._settings.synthesis_timeout_seconds} s.")

    def _end_process(self, claim: Claim, meter: Meter) -> None:
        """End this process, whose engine hangs, once the next provider has the work; its pool replaces it."""
        try:
            self._pass_on(claim, self._timeout(), meter)
        finally:
            log.error("engine_hangs")
            os._exit(os.EX_SOFTWARE)

    def _result(self, claim: Claim, lease: Lease, meter: Meter) -> Result:
        """Give the audio that an earlier attempt stored before it died, or make it; then cache it.

        The ledger keeps what came first and the cache takes the same audio once, so that a death between any
        two steps leaves one effect.
        """
        stored = self._ledger.result(claim.rendering_id) if claim.attempt > 1 else None
        if stored is None:
            audio = self._speak(claim, lease, meter)
            lease.check()
            stored = self._ledger.store_result(
                claim.rendering_id, Result.of(claim.cache_key, audio), audio.data, meter.usage()
            )
        result, data = stored
        return replace(result, cached=self._cache_audio(claim, result.audio(data)))

    def _speak(self, claim: Claim, lease: Lease, meter: Meter) -> Audio:
        def chunks() -> Iterator[AudioChunk]:
            try:
                for chunk in meter.measure(self._engine().synthesize(claim.utterance)):
                    lease.check()
                    yield chunk
            except ProviderError:
                lease.check()  # it may have been ended
                raise

        encoded = encode(join(chunks()), claim.utterance.format)
        return Audio(
            data=encoded.data,
            format=claim.utterance.format,
            provider=self.name,
            duration_ms=encoded.duration_ms,
            sample_rate_hz=encoded.sample_rate_hz,
            degraded=claim.chain.index(self.name) > 0,
        )

    def _cache_audio(self, claim: Claim, audio: Audio) -> bool:
        """Tell whether the cache holds it now; where it does not, the job alone keeps it."""
        try:
            return self._cache.store(claim.cache_key, claim.utterance, audio)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            return False

    def _stop(self, claim: Claim, why: Loss, meter: Meter) -> None:
        log.info("attempt_stopped", why=why)
        usage = meter.usage()
        if why is Loss.ABANDONED:
            if self._ledger.abandon(claim, usage) == "queued":
                self._doorbell.ring(self.name, claim.rendering_id)
        elif usage:
            self._ledger.note_usage(usage)

    def _pass_on(self, claim: Claim, error: ProviderError, meter: Meter) -> None:
        log.warning("attempt_failed", code=error.code, detail=error.detail)
        # What a failed load says of itself names this machine's paths.
        detail = _NOT_LOADED if isinstance(error, ModelLoadFailed) else error.detail
        attempt = Attempt(self.name, error.code, detail, round(meter.elapsed_ms))
        turn = next_turn(claim.chain, [*claim.attempts, attempt], self._presence.roll_call())
        this, usage = (claim.rendering_id, claim.attempt), meter.usage()
        if turn is None:
            self._ledger.fail(*this, "synthesis_failed", ALL_FAILED, [attempt], usage=usage)
        elif (
            self._ledger.pass_on(*this, turn.provider, [attempt, *turn.passed_over], usage=usage) == "queued"
        ):
            self._doorbell.ring(turn.provider, claim.rendering_id)
        self._outcomes.failed(
            self.name, error.code, is_provider_fault=error.is_provider_fault, is_probe=claim.is_probe
        )

    def _note(self, meter: Meter) -> None:
        if usage := meter.usage():
            self._on_usage()
            self._outcomes.used(usage)
