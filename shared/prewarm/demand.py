"""What each personality is asked for, hits included, and how much lately: what a changed voice says first.

A hit pays an addition; Redis is told behind it, every few seconds, once for all hits on one request.

    voice:asked:{personality}         zset  requests by a logarithm of how often lately; see `common.lua`
    voice:asked:{personality}:about   hash  the requests, text and all
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from cachetools import LRUCache

from shared.connections import state_errors
from shared.lua import load_script
from shared.models import SpeechRequest
from shared.prewarm.misses import HALF_LIFE_MS, request_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from shared.orders import Order

# And a quarter more for a while, each of up to `VOICEFARM_MAX_TEXT_CHARS`.
MAX_KEPT = 300
# What was asked for once so long ago counts for nothing any more.
_KEPT_MS = 14 * HALF_LIFE_MS
# What this process knows the request of; hits on more than that at a time are not counted.
_MAX_KNOWN = 4096
_TOLD_AT_ONCE = 100


@dataclass
class _Known:
    """A request by whose cache key this process may be asked for hits."""

    personality_id: str
    request: SpeechRequest
    is_told: bool = False

    @cached_property
    def name(self) -> str:
        return request_name(self.request)


class Demand:
    """What this process was asked for, and what all of them were."""

    def __init__(self, redis: Redis, *, is_on: bool) -> None:
        """Count it; unless it `is_on` nothing is kept."""
        self._redis = redis
        self._is_on = is_on
        self._script = load_script(redis, "shared.prewarm", "asked")
        self._lock = threading.Lock()
        self._known: LRUCache[str, _Known] = LRUCache(_MAX_KNOWN)
        self._counts: Counter[str] = Counter()
        self._flushed_at = float("-inf")

    def note(self, order: Order) -> None:
        """Count a request, hit or miss."""
        if not self._is_on:
            return
        with self._lock:
            if order.key not in self._known:
                self._known[order.key] = _Known(order.utterance.personality_id, order.normalized)
            self._counts[order.key] += 1

    def note_hit(self, key: str) -> None:
        """Count a hit by its cache key, for a request that was noted whole before."""
        if self._is_on:
            with self._lock:
                self._counts[key] += 1

    def flush(self, *, every_s: float = 0.0) -> None:
        """Tell Redis what was counted since the last time, unless that was less than `every_s` ago.

        What is counted meanwhile waits for the next time, or is lost with the process.

        Raises:
            StateUnavailable: Redis failed; some are not counted.
        """
        if time.monotonic() - self._flushed_at < every_s:
            return
        self._flushed_at = time.monotonic()
        with self._lock:
            counts, self._counts = self._counts, Counter()
            # Looking them up keeps those that are asked for.
            known = [(self._known.get(key), times) for key, times in counts.items()]
        by_personality: defaultdict[str, list[tuple[_Known, int]]] = defaultdict(list)
        for one, times in known:
            if one is not None:
                by_personality[one.personality_id].append((one, times))
        for personality_id, asked in by_personality.items():
            for start in range(0, len(asked), _TOLD_AT_ONCE):
                self._tell(personality_id, asked[start : start + _TOLD_AT_ONCE])

    def _tell(self, personality_id: str, asked: Iterable[tuple[_Known, int]]) -> None:
        told: list[str | int] = []
        for one, times in asked:
            told += [one.name, times, "" if one.is_told else one.request.model_dump_json()]
        with state_errors():
            untold = self._script(args=[personality_id, HALF_LIFE_MS, MAX_KEPT, _KEPT_MS, *told])
        for one, _ in asked:
            one.is_told = one.name.encode() not in untold

    def top(self, personality_id: str, limit: int) -> list[SpeechRequest]:
        """Give what a personality was asked for most lately, first what it was asked for most.

        Raises:
            StateUnavailable: Redis failed.
        """
        name = f"voice:asked:{personality_id}"
        if limit == 0:  # Redis would give all
            return []
        with state_errors():
            ranked = cast("list[bytes]", self._redis.zrevrange(name, 0, limit - 1))
            about = self._redis.hmget(f"{name}:about", ranked) if ranked else []
        return [
            SpeechRequest.from_json(request.decode()) for request in cast("list[bytes]", about) if request
        ]

    def forget(self, personality_ids: Iterable[str]) -> None:
        """Keep nothing of these any more.

        Raises:
            StateUnavailable: Redis failed.
        """
        names = [f"voice:asked:{one}{part}" for one in personality_ids for part in ("", ":about")]
        if names:
            with state_errors():
                self._redis.delete(*names)
