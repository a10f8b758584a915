"""What the cache did over time, farm-wide, in the state Redis.

    voice:cache:seen           string  the counters as they were last looked at, and in which minute
    voice:cache:turn:{minute}  string  there once some process looks at them in that minute
    voice:cache:minutes        zset    a record for each minute of the last 25 hours, by when it began
    voice:cache:hours          zset    a record for each hour of the last 30 days, likewise

What was counted from one look to the next belongs to the minute of the first. So a minute has a record once
it is over, and none if no front ran.
"""

from __future__ import annotations

import threading
import time
from dataclasses import astuple, dataclass, replace
from functools import reduce
from itertools import groupby
from operator import add
from typing import TYPE_CHECKING, Self, cast

import structlog

from shared.connections import state_errors
from shared.errors import VoicefarmError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Redis
    from redis.client import Pipeline

    from shared.cache.store import AudioCache, CacheStats

MINUTE_S, HOUR_S = 60, 3600
DEFAULT_HOURS, MAX_HOURS = 24, 30 * 24
MAX_STEPS = 300
_STEPS_S = (MINUTE_S, 2 * MINUTE_S, 5 * MINUTE_S, HOUR_S, 3 * HOUR_S)
_SEEN, _TURN = "voice:cache:seen", "voice:cache:turn:{at_s}"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Where records of one length are kept, and how long."""

    key: str
    step_s: int
    kept_s: int


_MINUTES = _Shelf("voice:cache:minutes", MINUTE_S, 25 * HOUR_S)
_HOURS = _Shelf("voice:cache:hours", HOUR_S, MAX_HOURS * HOUR_S)
_SHELVES = (_MINUTES, _HOURS)


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """Requests of some time by what the cache held, and how much it held when the last minute of it began."""

    at_s: int
    """When that time began, in seconds since 1970."""
    hits: int
    misses: int
    coalesced: int
    entries: int
    size_bytes: int

    @property
    def hit_rate(self) -> float | None:
        """Percentage of requests answered from the cache; None where there was no request."""
        requests = self.hits + self.misses + self.coalesced
        return round(100 * self.hits / requests, 2) if requests else None

    def __add__(self, later: CacheRecord) -> CacheRecord:
        """Give the record of both times together."""
        return replace(
            later,
            at_s=self.at_s,
            hits=self.hits + later.hits,
            misses=self.misses + later.misses,
            coalesced=self.coalesced + later.coalesced,
        )

    def encode(self) -> str:
        """Encode for Redis."""
        return " ".join(map(str, astuple(self)))

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Decode what `encode` gave."""
        return cls(*map(int, text.split()))


class CacheHistory:
    """Looks at the counters once a minute, and tells what they did."""

    def __init__(self, redis: Redis, cache: AudioCache, *, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._cache = cache
        self._clock = clock

    def start(self) -> None:
        """Begin to look; the thread ends with the process."""
        threading.Thread(target=self._run, name="cache-history", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.once()
            except VoicefarmError as error:
                log.warning("cache_history_not_kept", code=error.code, detail=error.detail)
            time.sleep(MINUTE_S - self._clock() % MINUTE_S)

    def once(self) -> None:
        """Look at the counters, unless some process of the farm has done so in this minute.

        Raises:
            StateUnavailable: a Redis failed; the next look sees what this one missed.
        """
        now_s = _beginning(int(self._clock()), MINUTE_S)
        with state_errors():
            if not self._redis.set(_TURN.format(at_s=now_s), 1, nx=True, ex=2 * MINUTE_S):
                return
            current = _counters(now_s, self._cache.stats())
            seen = cast("bytes | None", self._redis.get(_SEEN))
            with self._redis.pipeline() as pipe:
                if seen is not None:
                    self._add(pipe, _gained(CacheRecord.decode(seen), current))
                pipe.set(_SEEN, current.encode())
                pipe.execute()

    def _add(self, pipe: Pipeline, minute: CacheRecord) -> None:
        """Add a minute to its hour's record, and to its own, which there is after a clock was set back."""
        for shelf in _SHELVES:
            at_s = _beginning(minute.at_s, shelf.step_s)
            found = cast("list[bytes]", self._redis.zrangebyscore(shelf.key, at_s, at_s))
            record = reduce(add, [*map(CacheRecord.decode, found), replace(minute, at_s=at_s)])
            pipe.zremrangebyscore(shelf.key, at_s, at_s)
            pipe.zadd(shelf.key, {record.encode(): at_s})
            pipe.zremrangebyscore(shelf.key, "-inf", minute.at_s - shelf.kept_s)

    def last(self, hours: int) -> tuple[int, list[CacheRecord]]:
        """Give what happened in the last so many hours, step by step, and how many seconds a step has.

        There are some `MAX_STEPS` at most. One of which nothing is known is left out; the last one may not
        be over.

        Raises:
            StateUnavailable: Redis failed.
        """
        span_s, now_s = hours * HOUR_S, int(self._clock())
        step_s = next(step_s for step_s in _STEPS_S if span_s <= MAX_STEPS * step_s)
        shelf = _MINUTES if step_s < HOUR_S else _HOURS
        with state_errors():
            found = self._redis.zrangebyscore(shelf.key, _beginning(now_s - span_s, step_s), now_s)
        return step_s, _in_steps(map(CacheRecord.decode, cast("list[bytes]", found)), step_s)


def _beginning(at_s: int, step_s: int) -> int:
    """Give when the step began that a time is in."""
    return at_s - at_s % step_s


def _counters(at_s: int, stats: CacheStats) -> CacheRecord:
    return CacheRecord(at_s, stats.hits, stats.misses, stats.coalesced, stats.entries, stats.size_bytes)


def _gained(before: CacheRecord, after: CacheRecord) -> CacheRecord:
    """Give what the counters gained; those of a Redis that was emptied meanwhile began anew at 0."""
    if after.hits < before.hits or after.misses < before.misses or after.coalesced < before.coalesced:
        before = replace(before, hits=0, misses=0, coalesced=0)
    return replace(
        before,
        hits=after.hits - before.hits,
        misses=after.misses - before.misses,
        coalesced=after.coalesced - before.coalesced,
    )


def _in_steps(records: Iterable[CacheRecord], step_s: int) -> list[CacheRecord]:
    """Add up records, which come in order of time, by the step that they are in."""
    steps = groupby(records, key=lambda record: _beginning(record.at_s, step_s))
    return [replace(reduce(add, of_step), at_s=at_s) for at_s, of_step in steps]
