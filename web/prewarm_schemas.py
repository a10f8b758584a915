"""The JSON of pre-warming that goes out, as the API shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.models import AudioFormat, Fallback, Quality
from shared.prewarm import BatchStatus
from web.schemas import Body, Id, Timestamp


class Counts(Body):
    """A batch's items by state; those that were cached already have succeeded."""

    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


class FailedItem(Body):
    """What could not be made, and why."""

    phrase: str
    personality_id: Id
    quality: Quality
    format: AudioFormat
    code: str
    detail: str


class Batch(Body):
    """A batch as it stands now."""

    id: Id
    status: BatchStatus
    total: int
    already_cached: int
    counts: Counts
    failed: Annotated[list[FailedItem], Field(description="In a list of batches only the first ten.")]
    eta_seconds: Annotated[float | None, Field(description="Null once nothing is left to do.")]
    created_at: Timestamp
    finished_at: Timestamp | None


class Batches(Body):
    """A page of batches."""

    items: list[Batch]
    next_cursor: str | None


class DryRun(Body):
    """What a batch would take; nothing was begun."""

    total: int
    already_cached: int
    estimated_seconds: Annotated[float, Field(description="With every worker at it alone.")]
    estimated_cost_usd: float
    estimated_bytes: Annotated[int, Field(description="That the cache would grow by.")]


class Suggestion(Body):
    """A request that was not in the cache when it came."""

    phrase: str
    personality_id: Id
    language: str
    speed: float
    pitch: float
    quality: Quality
    format: AudioFormat
    provider: str | None
    fallback: Fallback
    count: Annotated[int, Field(description="How often, since it is in the list.")]
    score: Annotated[float, Field(description="How often lately: a miss counts half after a day.")]


class Suggestions(Body):
    """What was missed most lately, most first."""

    items: list[Suggestion]
    next_cursor: None = None
