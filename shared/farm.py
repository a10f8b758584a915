"""The farm, in the order things happen: request → key → cache, or one job → provider → cache.

A front asks; workers answer through the ledger. Nothing here knows HTTP.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import redis
import structlog

from shared.cache import AudioCache, cache_key
from shared.connections import AUDIO_TIMEOUT_S, FRONT_TIMEOUT_S, front_client, state_errors
from shared.database import Database
from shared.directory import Changes, Directory
from shared.doorbell import Doorbell
from shared.errors import NotFound, NoVoiceSample, QueueFull
from shared.keys import Scope
from shared.ledger import FinishReader, Ledger, Sweep
from shared.models import (
    PITCH_RANGE_SEMITONES,
    SPEED_RANGE,
    Fallback,
    Utterance,
    normalize_language,
    normalize_text,
)
from shared.personalities import Personalities
from shared.presence import Presence
from shared.routing import Router

if TYPE_CHECKING:
    from shared.cache import CachedAudio
    from shared.keys import ApiKey
    from shared.ledger import Job
    from shared.models import SpeechRequest
    from shared.personalities import Personality
    from shared.settings import Settings

DEFAULT_LANGUAGE = "en"
MAX_RETRY_AFTER_S = 60

log = structlog.get_logger()


@dataclass(frozen=True)
class Farm:
    """Everything a front needs, wired together."""

    settings: Settings
    router: Router
    database: Database
    personalities: Personalities
    directory: Directory
    state: redis.Redis
    cache: AudioCache
    ledger: Ledger
    presence: Presence
    doorbell: Doorbell
    finishes: FinishReader
    waiters: threading.BoundedSemaphore

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Wire up a farm; opens no connection yet."""
        state = front_client(settings.state_url)
        database = Database(settings.database_url)
        return cls(
            settings=settings,
            router=Router.from_settings(settings),
            database=database,
            personalities=Personalities(database, Changes(state)),
            directory=Directory(database, state),
            state=state,
            cache=AudioCache.from_settings(settings, front_client(settings.audio_url, AUDIO_TIMEOUT_S)),
            ledger=Ledger.from_settings(settings, state),
            presence=Presence(state),
            doorbell=Doorbell.for_front(settings.broker_url, FRONT_TIMEOUT_S),
            finishes=FinishReader(settings.state_url),
            waiters=threading.BoundedSemaphore(settings.max_waiters),
        )

    def sweep(self) -> Sweep:
        """Make the sweep that each process runs."""
        return Sweep(self.ledger, self.presence, self.doorbell)

    def ask(self, request: SpeechRequest, *, caller: ApiKey, epoch: bytes) -> CachedAudio | Job:
        """Give cached audio, or the job that will have it.

        Raises:
            NotFound: the personality does not exist or is not active.
            NoVoiceSample, LanguageNotSupported: nobody here can speak it as asked.
            NoProvider, QueueFull, StateUnavailable: not now; no job was left behind.
        """
        personality = self.directory.personality(epoch, request.personality_id)
        if not personality.is_active:
            raise NotFound(f"There is no active personality {personality.id}.")
        if request.fallback is Fallback.SAME_VOICE and not request.provider and not personality.has_sample:
            raise NoVoiceSample
        utterance = resolve(request, personality)
        key = cache_key(utterance, self.router.digest)
        looked_at = time.monotonic()
        return self._look(key) or self._submit(key, utterance, request, caller, looked_at)

    def _look(self, key: str) -> CachedAudio | None:
        """Give a hit; a cache that fails is a miss."""
        try:
            return self.cache.look(key, count_hit=True)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            return None

    def _submit(
        self, key: str, utterance: Utterance, request: SpeechRequest, caller: ApiKey, looked_at: float
    ) -> Job:
        chain = self.router.chain(utterance)
        provider = self.router.choose(chain, self.presence.live())
        job_id = str(uuid.uuid4())
        resolved = {"personality_id": utterance.personality_id, "language": utterance.language}
        try:
            submitted = self.ledger.submit(
                key,
                utterance,
                chain,
                provider,
                job_id=job_id,
                owner=caller.id,
                request=request.model_copy(update=resolved),
                looked_ago_ms=math.ceil((time.monotonic() - looked_at) * 1000),
            )
        except QueueFull as full:
            drained_s = self.presence.eta_seconds(provider, self.ledger.queued(provider))
            full.retry_after_s = min(max(math.ceil(drained_s), 1), MAX_RETRY_AFTER_S)
            raise
        if submitted.how == "new":
            self.doorbell.ring(provider, submitted.rendering_id)
        self._count("misses" if submitted.how == "new" else "coalesced")
        log.info("job_submitted", job_id=job_id, how=submitted.how, provider=provider)
        return self._job(job_id)

    def _count(self, what: str) -> None:
        try:
            self.cache.count(what)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)

    def _job(self, job_id: str) -> Job:
        job = self.ledger.job(job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        return job

    def job(self, job_id: str, *, caller: ApiKey) -> Job:
        """Give a job that the caller may see.

        Raises:
            NotFound: there is no such job, it is no longer kept, or it is another key's.
        """
        job = self._job(job_id)
        if job.owner != caller.id and not caller.scope.allows(Scope.ADMIN):
            raise NotFound(f"There is no job {job_id}.")
        return job

    def wait(self, job: Job, timeout_s: float) -> Job | None:
        """Give the job once it has ended, or as it is after `timeout_s`; None when too many wait already."""
        if not self.waiters.acquire(blocking=False):
            return None
        try:
            until = time.monotonic() + timeout_s
            with self.finishes.watching(job.rendering_id) as finished:
                while True:
                    finished.clear()
                    job = self._job(job.id)
                    left_s = until - time.monotonic()
                    if job.status.has_ended or left_s <= 0 or not finished.wait(left_s):
                        return job
        finally:
            self.waiters.release()

    def audio(self, job: Job) -> bytes:
        """Give the audio of a job that has succeeded; its `result` describes it.

        Raises:
            NotFound: it is no longer kept.
        """
        found = self.ledger.result(job.rendering_id)
        if found is None:
            raise NotFound(f"The audio of job {job.id} is no longer kept.")
        return found[1]

    def cached(self, key: str, *, epoch: bytes) -> CachedAudio:
        """Give cached audio by its key.

        Raises:
            NotFound: it has expired, was cleared, or belongs to an older voice or an inactive personality.
            StateUnavailable: the cache cannot be reached.
        """
        with state_errors():
            found = self.cache.look(key)
        if found is not None:
            personality = self.directory.personality(epoch, found.metadata.personality_id)
            if personality.is_active and personality.voice_revision == found.metadata.voice_revision:
                return found
        raise NotFound("There is no audio under this key (any more); ask for the speech again.")


def resolve(request: SpeechRequest, personality: Personality) -> Utterance:
    """Combine a request with its personality, leaving nothing to default."""
    voice = personality.voice_config
    return Utterance(
        text=normalize_text(request.text),
        personality_id=personality.id,
        voice_revision=personality.voice_revision,
        language=request.language or normalize_language(personality.language or DEFAULT_LANGUAGE),
        speed=_clamp(request.speed * voice.voice_settings.speed, SPEED_RANGE),
        pitch=_clamp(request.pitch + voice.voice_settings.pitch, PITCH_RANGE_SEMITONES),
        quality=request.quality,
        fallback=request.fallback,
        provider=request.provider,
        format=request.format,
        voices=dict(voice.voices),
        gender=voice.gender,
    )


def _clamp(value: float, bounds: tuple[float, float]) -> float:
    # Rounded, so that 1.1 * 1.05 and 1.155 are one key.
    return round(min(max(value, bounds[0]), bounds[1]), 6)
