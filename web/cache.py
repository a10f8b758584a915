"""The cache seen from outside: its counters, and clearing it."""

from __future__ import annotations

from flask import Blueprint, Response, g

from shared.connections import state_errors
from shared.keys import Scope
from web.auth import requires
from web.context import farm
from web.personalities import checked
from web.responses import as_json
from web.schemas import CacheCounters, CacheStats, Cleared, PersonalityCleared

blueprint = Blueprint("cache", __name__)


@blueprint.get("/api/voice/cache/stats")
@requires(Scope.SPEAK)
def stats() -> Response:
    """Answer with the counters."""
    with state_errors():
        counters = farm().cache.stats()
    return as_json(
        CacheStats(
            cache=CacheCounters(
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


@blueprint.delete("/api/voice/cache/clear")
@requires(Scope.ADMIN)
def clear() -> Response:
    """Delete all cached audio; the counters stay."""
    deleted = farm().clear_cache()
    return as_json(Cleared(deleted_entries=deleted, message=f"Deleted {deleted} cached entries."))


@blueprint.delete("/api/voice/personalities/<personality_id>/cache")
@requires(Scope.MANAGE)
def drop(personality_id: str) -> Response:
    """Delete the cached audio of one personality."""
    personality = farm().directory.personality(g.epoch, checked(personality_id))
    deleted = farm().drop_cache(personality.id)
    return as_json(
        PersonalityCleared(
            personality_id=personality.id,
            deleted_entries=deleted,
            message=f"Deleted {deleted} cached entries of {personality.name}.",
        )
    )
