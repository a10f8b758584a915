"""The farm, in the order things happen: request → key → cache, or one job → provider → cache.

A front asks; workers answer through the ledger. Nothing here knows HTTP.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Self

import redis
import structlog

from shared.cache import AudioCache, CacheHistory, Invalidations
from shared.connections import AUDIO_TIMEOUT_S, FRONT_TIMEOUT_S, front_client, state_errors
from shared.consents import Consents
from shared.database import Database
from shared.directory import Changes, Directory
from shared.doorbell import Doorbell
from shared.errors import IdempotencyMismatch, NotFound, QueueFull, RateLimited, retry_after_s
from shared.jobs import Jobs
from shared.keys import ApiKeys
from shared.ledger import KEEP_LIVE_MS, Idempotency, Ledger, Result, Sweep, TransitionReader, log_fields
from shared.log import current_request_id
from shared.orders import Order
from shared.outcomes import Outcomes
from shared.personalities import Personalities
from shared.presence import ROLL_CALL, Presence, RollCall
from shared.prewarm import Batches, Demand, Feeder, Misses, PrewarmRequest, read_start_lists
from shared.provider_stats import ProviderStats
from shared.rate_limit import RateLimit
from shared.roster import Roster
from shared.routing import Router
from shared.samples.store import SampleStore
from shared.usage import Outbox, UsageReport
from shared.voice_holding import VoiceHolding

if TYPE_CHECKING:
    from shared.cache import CachedAudio
    from shared.keys import ApiKey
    from shared.ledger import Job
    from shared.models import SpeechRequest
    from shared.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True)
class Farm:
    """Everything a front needs, wired together."""

    settings: Settings
    router: Router
    database: Database
    changes: Changes
    personalities: Personalities
    roster: Roster
    keys: ApiKeys
    directory: Directory
    state: redis.Redis
    cache: AudioCache
    invalidations: Invalidations
    cache_history: CacheHistory
    ledger: Ledger
    presence: Presence
    stats: ProviderStats
    rate_limit: RateLimit
    doorbell: Doorbell
    jobs: Jobs
    usage: UsageReport
    voice_holding: VoiceHolding
    batches: Batches
    misses: Misses
    demand: Demand
    start_lists: tuple[PrewarmRequest, ...]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Wire up a farm; opens no connection yet.

        Raises:
            SettingsError: a setting names what there is not.
        """
        state = front_client(settings.state_url)
        database = Database(settings.database_url)
        changes = Changes(state)
        personalities = Personalities(database, changes)
        cache = AudioCache.from_settings(settings, front_client(settings.audio_url, AUDIO_TIMEOUT_S))
        samples = SampleStore(settings.samples_url)
        ledger = Ledger.from_settings(settings, state)
        presence = Presence(state)
        return cls(
            settings=settings,
            router=Router.from_settings(settings),
            database=database,
            changes=changes,
            personalities=personalities,
            roster=Roster(personalities, Consents(database), samples, cache),
            keys=ApiKeys(database, changes),
            directory=Directory(database, state),
            state=state,
            cache=cache,
            invalidations=Invalidations(settings.audio_url),
            cache_history=CacheHistory(state, cache),
            ledger=ledger,
            presence=presence,
            stats=ProviderStats(state),
            rate_limit=RateLimit(state, settings.rate_limit_per_minute),
            doorbell=Doorbell.for_front(settings.broker_url, FRONT_TIMEOUT_S),
            jobs=Jobs(ledger, TransitionReader(settings.state_url), max_waiters=settings.max_waiters),
            usage=UsageReport(database, Outbox(state)),
            voice_holding=VoiceHolding(state, presence),
            batches=Batches(state, ledger),
            misses=Misses(state, is_on=settings.suggestions),
            demand=Demand(state, is_on=settings.suggestions),
            start_lists=read_start_lists(settings),
        )

    def start(self) -> None:
        """Begin what a front does beside its requests, on threads that end with the process."""
        Sweep(self.ledger, self.presence, self.doorbell, Outcomes(self.state)).start()
        Feeder(self).start()
        self.cache.requests.start()
        self.cache_history.start()
        self.invalidations.start()
        self.directory.last_uses.start()

    def look_around(self) -> tuple[bytes, RollCall]:
        """Give the epoch and the roll call, with which every request for speech begins, in one round trip.

        Raises:
            StateUnavailable: Redis failed.
        """
        epoch, [roll_call] = self.directory.read_epoch_with(ROLL_CALL)
        return epoch, RollCall.of(roll_call)

    def ask(
        self, request: SpeechRequest, *, caller: ApiKey, epoch: bytes, roll_call: RollCall
    ) -> CachedAudio | Job:
        """Give cached audio, or the job that will have it, by what the caller saw who looked around.

        Raises:
            NotFound: the personality does not exist or is not active.
            NoVoiceSample, LanguageNotSupported: nobody here can speak it as asked.
            NoProvider, QueueFull, RateLimited, StateUnavailable: not now; no job was left behind.
        """
        order = self._order(request, caller, epoch, roll_call)
        return self._look(order) or self._submit(order)

    def order(
        self,
        request: SpeechRequest,
        *,
        caller: ApiKey,
        epoch: bytes,
        roll_call: RollCall,
        idempotency_key: str | None = None,
    ) -> tuple[Job, bool]:
        """Give a job in any case, and whether it is new work: on a hit it has succeeded already.

        A request that comes again within a day with the same idempotency key gets the job of its first time,
        as it stands now; one that is no longer kept is made anew.

        Raises:
            IdempotencyMismatch: the key came with another request.
            All that `ask` raises; then the idempotency key is free as before.
        """
        idempotency = Idempotency.of(idempotency_key, request) if idempotency_key else None
        first = idempotency and self.ledger.repeated(caller.id, idempotency)
        if first:
            return first, False
        order = self._order(request, caller, epoch, roll_call, idempotency)
        hit = self._look(order)
        return (self._keep(order, hit), False) if hit else (self._submit(order), True)

    def _order(
        self,
        request: SpeechRequest,
        caller: ApiKey,
        epoch: bytes,
        roll_call: RollCall,
        idempotency: Idempotency | None = None,
    ) -> Order:
        """Work out what a request comes to."""
        return Order.of(
            request,
            self.directory.personality(epoch, request.personality_id),
            digest=self.router.digest,
            owner=caller.id,
            roll_call=roll_call,
            idempotency=idempotency,
        )

    def _look(self, order: Order) -> CachedAudio | None:
        """Give a hit; a cache that fails is a miss, for which what the ledger has finished lately will do."""
        try:
            found = self.cache.look(order.key)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
            order.looked_at_ms -= KEEP_LIVE_MS
            return None
        if found is not None:
            self.cache.requests.count("hits")
            self.demand.note(order)
        return found

    def _keep(self, order: Order, hit: CachedAudio) -> Job:
        return self.ledger.keep(
            Result.of_cached(hit),
            hit.data,
            job_id=str(uuid.uuid4()),
            owner=order.owner,
            request=order.request,
            idempotency=order.idempotency,
        ).job

    def _submit(self, order: Order) -> Job:
        route = self.router.route(order.utterance, order.voice, order.roll_call)
        provider = route.provider
        may_begin = self.rate_limit.take(order.owner)
        try:
            submitted = self.ledger.submit(
                order.key,
                order.utterance,
                route.chain,
                provider,
                job_id=str(uuid.uuid4()),
                owner=order.owner,
                request=order.request,
                looked_at_ms=order.looked_at_ms,
                idempotency=order.idempotency,
                may_begin=may_begin,
                request_id=current_request_id(),
                passed_over=route.passed_over,
                draft=partial(self.doorbell.draft, provider),
            )
        except IdempotencyMismatch:
            if may_begin:
                self.rate_limit.give_back(order.owner)
            raise
        except QueueFull as full:
            self.rate_limit.give_back(order.owner)
            drained_s = self.presence.drain_seconds(provider, self.ledger.queued(provider))
            full.retry_after_s = retry_after_s(drained_s)
            raise
        except RateLimited as limited:
            limited.retry_after_s = self.rate_limit.resets_in_s(order.owner)
            raise
        if submitted.how != "new":
            if may_begin:
                self.rate_limit.give_back(order.owner)
        elif not submitted.is_rung:
            self.doorbell.ring(provider, submitted.rendering_id)
        if submitted.urged:
            self.doorbell.ring(submitted.urged, submitted.rendering_id)
        if submitted.how != "repeated":
            self.cache.requests.count("misses" if submitted.how == "new" else "coalesced")
            self.misses.note(order)
            self.demand.note(order)
        about = log_fields(submitted.rendering_id) | {"job_id": submitted.job_id}
        log.info("job_submitted", how=submitted.how, provider=provider, **about)
        return submitted.job

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

    def clear_cache(self) -> int:
        """Delete all cached audio, in every front's memory, too; says how many entries there were.

        Raises:
            StateUnavailable: Redis failed.
        """
        with self.changes.around(), state_errors():
            return self.cache.clear()

    def drop_cache(self, personality_id: str) -> int:
        """Delete one personality's cached audio likewise.

        Raises:
            StateUnavailable: Redis failed.
        """
        with self.changes.around(), state_errors():
            return self.cache.drop(personality_id)
