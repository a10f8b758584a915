"""One worker process: claims a rendering, lets its provider speak, puts the audio where the front looks."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING

import redis
import structlog

from shared.errors import BadAudio, ModelLoadFailed, ProviderError
from shared.ledger import Attempt, Result
from shared.ledger.sweep import next_provider
from shared.models import Audio
from shared.provider_stats import Synthesis
from workers.audio import join
from workers.encoding import encode
from workers.lease import Lease, LeaseLost
from workers.provider import load_provider
from workers.providers.forked import end_copy
from workers.quality import judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.cache import AudioCache
    from shared.catalog import ProviderSpec
    from shared.doorbell import Doorbell
    from shared.ledger import Claim, Ledger
    from shared.models import Utterance
    from shared.presence import Presence
    from shared.provider_stats import ProviderStats
    from shared.settings import Settings
    from workers.provider import AudioChunk, Provider

_NOT_LOADED = "The engine could not be loaded; the worker's log says why."
_UNEXPECTED = "The engine failed unexpectedly; the worker's log says how."

log = structlog.get_logger()


class Renderer:
    """What one process of a provider's pool does with a doorbell."""

    def __init__(
        self,
        spec: ProviderSpec,
        settings: Settings,
        *,
        worker: str,
        ledger: Ledger,
        cache: AudioCache,
        presence: Presence,
        stats: ProviderStats,
        doorbell: Doorbell,
    ) -> None:
        self.name = spec.name
        self._spec = spec
        self._settings = settings
        self._provider: Provider | None = None
        self._worker = worker
        self._ledger = ledger
        self._cache = cache
        self._presence = presence
        self._stats = stats
        self._doorbell = doorbell

    def warm_up(self) -> None:
        """Load the engine before the first task; a failure is logged, and told to every task that comes."""
        try:
            self._engine()
        except ProviderError as error:
            log.warning("load_failed", provider=self.name, code=error.code, detail=error.detail)

    def _engine(self) -> Provider:
        if self._provider is None:
            provider = load_provider(self._spec, self._settings)
            provider.load()
            self._provider = provider
        return self._provider

    def render(self, rendering_id: str) -> None:
        """Take one attempt at a rendering, if it is still to be had."""
        claim = self._ledger.claim(rendering_id, self.name, self._worker)
        if claim is None:
            return
        structlog.contextvars.bind_contextvars(request_id=claim.request_id)
        begun = time.monotonic()
        try:
            # What the engine does in a copy of this process need not be waited for.
            with Lease(self._ledger, claim, on_loss=partial(end_copy, get_ident())) as lease:
                result = self._result(claim, lease)
        except LeaseLost as lost:
            self._stop(claim, lost)
        except ModelLoadFailed as error:
            log.warning("attempt_failed", code=error.code, detail=error.detail)
            self._pass_on(claim, error.code, _NOT_LOADED, begun)  # its own words name this machine's paths
        except ProviderError as error:
            log.warning("attempt_failed", code=error.code, detail=error.detail)
            self._pass_on(claim, error.code, error.detail, begun)
        except Exception:
            # The one place that catches everything: the next provider is to speak, and the trace is logged.
            self._pass_on(claim, "engine_failed", _UNEXPECTED, begun)
            raise
        else:
            if self._ledger.succeed(claim, result):
                synthesis = Synthesis((time.monotonic() - begun) * 1000, result.duration_ms)
                log.info("rendered", duration_ms=round(synthesis.service_ms, 1), audio_ms=synthesis.audio_ms)
                self._stats.note_synthesis(self.name, synthesis)

    def _result(self, claim: Claim, lease: Lease) -> Result:
        """Give the audio that an earlier attempt stored before it died, or make it; then cache it.

        The ledger keeps what came first and the cache takes the same audio once, so that a death between any
        two steps leaves one effect.
        """
        stored = self._ledger.result(claim.rendering_id) if claim.attempt > 1 else None
        if stored is None:
            audio = self._speak(claim, lease)
            lease.check()
            stored = self._ledger.store_result(
                claim.rendering_id, Result.of(claim.cache_key, audio), audio.data
            )
        result, data = stored
        return replace(result, cached=self._cache_audio(claim, result.audio(data)))

    def _speak(self, claim: Claim, lease: Lease) -> Audio:
        """Let the provider speak, and once more where its sound was refused and may be better then.

        Each refusal is logged and counted; the attempt tells of the last.
        """
        try:
            sound = self._sound(claim.utterance, lease, seed=0)
        except BadAudio as refused:
            lease.check()
            if not self._spec.is_random:
                raise
            log.warning("sound_refused", code=refused.code, detail=refused.detail)
            self._stats.note_failure(self.name, refused.code)
            sound = self._sound(claim.utterance, lease, seed=1)
        encoded = encode(sound, claim.utterance.format)
        return Audio(
            data=encoded.data,
            format=claim.utterance.format,
            provider=self.name,
            duration_ms=encoded.duration_ms,
            sample_rate_hz=encoded.sample_rate_hz,
            degraded=claim.chain.index(self.name) > 0,
        )

    def _sound(self, utterance: Utterance, lease: Lease, *, seed: int) -> AudioChunk:
        def chunks() -> Iterator[AudioChunk]:
            try:
                for chunk in self._engine().synthesize(utterance, seed=seed):
                    lease.check()
                    yield chunk
            except ProviderError:
                lease.check()  # it may have been ended
                raise

        sound = join(chunks())
        judge(sound, utterance)
        return sound

    def _cache_audio(self, claim: Claim, audio: Audio) -> bool:
        """Tell whether the cache holds it now; where it does not, the job alone keeps it."""
        try:
            return self._cache.store(claim.cache_key, claim.utterance, audio)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            return False

    def _stop(self, claim: Claim, lost: LeaseLost) -> None:
        log.info("attempt_stopped", why=str(lost))
        if lost.abandoned and self._ledger.abandon(claim) == "queued":
            self._doorbell.ring(self.name, claim.rendering_id)

    def _pass_on(self, claim: Claim, code: str, detail: str, begun: float) -> None:
        attempt = Attempt(self.name, code, detail, round((time.monotonic() - begun) * 1000))
        target = next_provider(claim.chain, [*claim.attempts, attempt], self._presence.live())
        if target is None:
            why = "Every provider that could speak this failed."
            self._ledger.fail(claim.rendering_id, claim.attempt, "synthesis_failed", why, attempt)
        elif self._ledger.pass_on(claim.rendering_id, claim.attempt, target, attempt) == "queued":
            self._doorbell.ring(target, claim.rendering_id)
        self._stats.note_failure(self.name, code)
