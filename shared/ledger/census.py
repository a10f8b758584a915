"""How much waits, runs and has ended, without a look at more than the oldest rendering of each queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.connections import state_errors
from shared.ledger.records import Status
from shared.priorities import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from redis import Redis


@dataclass(frozen=True, slots=True)
class QueueState:
    """One provider's queue."""

    depth: int
    oldest_age_s: float
    """How long ago its oldest rendering was asked for; 0 when it is empty."""
    prewarm_depth: int = 0
    """How many renderings for the cache wait behind those."""


@dataclass(frozen=True, slots=True)
class Census:
    """The renderings of the farm: those under way, and how many have ended since the state Redis began."""

    queues: Mapping[str, QueueState]
    running: int
    ended: Mapping[Status, int]


def take_census(redis: Redis, providers: Iterable[str]) -> Census:
    """Count the renderings; `providers` are all that may have a queue.

    Raises:
        StateUnavailable: Redis failed.
    """
    names = list(providers)
    with state_errors(), redis.pipeline() as pipe:
        pipe.time()
        pipe.zcard("voice:due")
        pipe.hgetall("voice:ended")
        for name in names:
            pipe.zcard(f"voice:queue:{name}")
            pipe.zrange(f"voice:queue:{name}", 0, 0, withscores=True)
            pipe.zcard(f"voice:queue:{Priority.PREWARM.queue(name)}")
        (seconds, microseconds), live, ended, *of_queues = pipe.execute()
    now_s = seconds + microseconds / 1e6
    queues = {
        name: QueueState(depth, max(0.0, now_s - oldest[0][1] / 1000) if oldest else 0.0, prewarm_depth)
        for name, depth, oldest, prewarm_depth in zip(
            names, of_queues[::3], of_queues[1::3], of_queues[2::3], strict=True
        )
    }
    return Census(
        queues=queues,
        running=live - sum(queue.depth + queue.prewarm_depth for queue in queues.values()),
        ended={status: int(ended.get(status.encode(), 0)) for status in Status if status.has_ended},
    )
