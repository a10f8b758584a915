"""The JSON of the cache that goes out, as the API shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from web.schemas import Body, Id, Timestamp


class CacheCounters(Body):
    """What the cache did and holds."""

    enabled: bool
    hits: int
    misses: int
    coalesced: int
    sets: int
    hit_rate: float
    total_requests: int
    entries: int
    bytes: int


class CacheStats(Body):
    """The cache's counters."""

    success: bool = True
    cache: CacheCounters


class CachePoint(Body):
    """What the cache did in one step of time; the last one may not be over."""

    at: Annotated[Timestamp, Field(description="When it began.")]
    hits: int
    misses: int
    coalesced: int
    hit_rate: Annotated[float | None, Field(description="In percent; null where there was no request.")]
    entries: Annotated[int, Field(description="Held at the step's end, as is what follows.")]
    bytes: int


class CacheHistory(Body):
    """What the cache did over time; a step in which the farm was off is left out."""

    success: bool = True
    interval_seconds: Annotated[int, Field(description="How long a step is.")]
    points: list[CachePoint]


class Cleared(Body):
    """How much was deleted from the cache."""

    success: bool = True
    deleted_entries: int
    message: str


class PersonalityCleared(Cleared):
    """How much of one personality was deleted from the cache."""

    personality_id: Id
