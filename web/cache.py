"""The cache seen from outside: its counters, and clearing it."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from shared.cache.history import DEFAULT_HOURS, MAX_HOURS
from shared.connections import state_errors
from shared.errors import FieldError, InvalidRequest
from shared.scopes import Scope
from web import cache_schemas as schemas
from web.auth import requires
from web.context import farm
from web.personalities import checked
from web.requests import bounded
from web.responses import as_json, timestamp_ms

blueprint = Blueprint("cache", __name__)


@blueprint.get("/api/voice/cache/stats")
@requires(Scope.SPEAK)
def stats() -> Response:
    """Answer with the counters."""
    with state_errors():
        counters = farm().cache.stats()
    return as_json(
        schemas.CacheStats(
            cache=schemas.CacheCounters(
                enabled=True,
                hits=counters.hits,
                misses=counters.misses,
                coalesced=counters.coalesced,
                sets=counters.sets,
                hit_rate=counters.hit_rate,
                total_requests=counters.total_requests,
                entries=counters.entries,
                bytes=counters.size_bytes,
            )
        )
    )


@blueprint.get("/api/voice/cache/history")
@requires(Scope.SPEAK)
def history() -> Response:
    """Answer with what the cache did in the last hours, step by step."""
    step_s, records = farm().cache_history.last(_wanted_hours())
    points = [
        schemas.CachePoint(
            at=timestamp_ms(record.at_s * 1000),
            hits=record.hits,
            misses=record.misses,
            coalesced=record.coalesced,
            hit_rate=record.hit_rate,
            entries=record.entries,
            bytes=record.size_bytes,
        )
        for record in records
    ]
    return as_json(schemas.CacheHistory(interval_seconds=step_s, points=points))


def _wanted_hours() -> int:
    hours = bounded(request.args.get("hours", str(DEFAULT_HOURS)), MAX_HOURS + 1)
    if hours is None or not 1 <= hours <= MAX_HOURS:
        raise InvalidRequest([FieldError("hours", f"must be a whole number from 1 to {MAX_HOURS}")])
    return hours


@blueprint.delete("/api/voice/cache/clear")
@requires(Scope.ADMIN)
def clear() -> Response:
    """Delete all cached audio; the counters stay."""
    deleted = farm().clear_cache()
    return as_json(schemas.Cleared(deleted_entries=deleted, message=f"Deleted {deleted} cached entries."))


@blueprint.delete("/api/voice/personalities/<personality_id>/cache")
@requires(Scope.MANAGE)
def drop(personality_id: str) -> Response:
    """Delete the cached audio of one personality."""
    personality = farm().directory.personality(g.epoch, checked(personality_id))
    deleted = farm().drop_cache(personality.id)
    return as_json(
        schemas.PersonalityCleared(
            personality_id=personality.id,
            deleted_entries=deleted,
            message=f"Deleted {deleted} cached entries of {personality.name}.",
        )
    )
