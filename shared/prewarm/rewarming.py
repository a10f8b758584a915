"""Keeps the cache warm, a period at a time: what is still asked for lives on, a changed voice is made anew.

A clock (Celery beat) rings once a period, and a worker of any pool answers. Whatever rings twice, a period's
work is done once; what dies on the way is done in the next one.

    voice:rewarm:{period}    whether somebody has begun with it
    voice:rewarm:revisions   hash  each personality's voice revision that was seen to last
    voice:rewarm:changes     hash  the one that was found in the last period, where that is another
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

import redis
import structlog

from shared.catalog import CATALOG
from shared.connections import state_errors
from shared.directory import Changes
from shared.ledger import Ledger, take_census
from shared.personalities import Personalities
from shared.prewarm.batches import Batches
from shared.prewarm.demand import Demand
from shared.prewarm.plan import CHARACTERS_A_SECOND
from shared.prewarm.records import Item
from shared.prewarm.start import OWNER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.cache import AudioCache
    from shared.database import Database
    from shared.settings import Settings

# Cached entries that are extended in one period; the others' turn comes while half of their time is left.
MAX_EXTENDED = 5000
# Requests that batches are begun of in one period; with so many the next voice waits for the next.
MAX_BEGUN = 300
# Where so many wait for one provider, nothing is added that could wait.
DEEP_BACKLOG = 20
# Half of a shorter time is over before the clock has rung twice in it: such audio keeps to its time exactly.
_LEAST_PERIODS = 4
_REVISIONS, _CHANGES = "voice:rewarm:revisions", "voice:rewarm:changes"

log = structlog.get_logger()


@dataclass(frozen=True)
class Rewarmer:
    """What a worker needs to answer the clock."""

    state: redis.Redis
    cache: AudioCache
    batches: Batches
    demand: Demand
    personalities: Personalities
    period_s: int
    most: int
    """How many requests a changed voice is made to say anew."""

    @classmethod
    def from_settings(
        cls, settings: Settings, state: redis.Redis, cache: AudioCache, database: Database
    ) -> Self:
        """Make one of what the worker has; opens no connection yet."""
        return cls(
            state=state,
            cache=cache,
            batches=Batches(state, Ledger.from_settings(settings, state)),
            demand=Demand(state, is_on=settings.suggestions),
            personalities=Personalities(database, Changes(state)),
            period_s=settings.rewarm_seconds,
            most=settings.rewarm_phrases,
        )

    def once(self) -> bool:
        """Do this period's work; False when somebody has begun with it already.

        Raises:
            StateUnavailable: Redis or the database failed; the next period makes up for it.
        """
        if not self._has_turn():
            return False
        self._extend()
        self._rewarm()
        return True

    def _has_turn(self) -> bool:
        with state_errors():
            seconds, _ = self.state.time()
            name = f"voice:rewarm:{seconds // self.period_s}"
            return bool(self.state.set(name, b"", nx=True, ex=2 * self.period_s))

    def _extend(self) -> None:
        if self.cache.ttl_s < _LEAST_PERIODS * self.period_s:
            return
        try:
            extended = self.cache.extend(MAX_EXTENDED)
        except redis.RedisError as error:
            log.warning("cache_failed", error=type(error).__name__)
        else:
            if extended:
                log.info("cache_extended", entries=extended)

    def _rewarm(self) -> None:
        """Begin a batch for each voice that has changed, if it has not done so since the last period."""
        found = self.personalities.voice_revisions()
        lasting, changing = self._revisions(_REVISIONS), self._revisions(_CHANGES)
        self._forget(lasting.keys() - found.keys())
        begun, is_busy = 0, self._is_busy()
        for personality_id, revision in found.items():
            if revision is None or lasting.get(personality_id) == revision:
                continue
            if personality_id in lasting and changing.get(personality_id) != revision:
                self._remember(_CHANGES, personality_id, revision)
            elif personality_id not in lasting:  # it is new, or this Redis is
                self._remember(_REVISIONS, personality_id, revision)
            elif not is_busy and begun < MAX_BEGUN:
                begun += self._begin(personality_id)
                self._remember(_REVISIONS, personality_id, revision)

    def _begin(self, personality_id: str) -> int:
        """Begin a batch of what one is asked for most; says of how much."""
        requests = self.demand.top(personality_id, self.most)
        if not requests:
            return 0
        characters = sum(len(request.text) for request in requests)
        batch_id = self.batches.begin(
            [Item(number, request) for number, request in enumerate(requests)],
            owner=OWNER,
            already_cached=0,
            estimated_s=characters / CHARACTERS_A_SECOND,
        )
        log.info("batch_begun", batch=batch_id, total=len(requests), personality_id=personality_id)
        return len(requests)

    def _is_busy(self) -> bool:
        queues = take_census(self.state, CATALOG).queues.values()
        return any(queue.depth > DEEP_BACKLOG for queue in queues)

    def _revisions(self, name: str) -> dict[str, int]:
        with state_errors():
            kept = cast("dict[bytes, bytes]", self.state.hgetall(name))
        return {personality_id.decode(): int(revision) for personality_id, revision in kept.items()}

    def _remember(self, name: str, personality_id: str, revision: int) -> None:
        with state_errors():
            self.state.hset(name, personality_id, str(revision))

    def _forget(self, personality_ids: Iterable[str]) -> None:
        """Keep nothing of those that are no more."""
        if gone := list(personality_ids):
            self.demand.forget(gone)
            with state_errors():
                self.state.hdel(_CHANGES, *gone)
                self.state.hdel(_REVISIONS, *gone)
