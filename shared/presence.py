"""Which workers are alive, and with how many slots."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from shared.connections import state_errors
from shared.provider_stats import ProviderStats

if TYPE_CHECKING:
    from redis import Redis

HEARTBEAT_S = 2.0
# Three heartbeats and a little: a worker that has been silent for so long is taken for dead.
LIVE_FOR_MS = 7_000

_LIVE = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {now_ms}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'voice:workers', now_ms - ARGV[1], '+inf')) do
  table.insert(answer, redis.call('GET', 'voice:worker:' .. name))
end
return answer
"""


@dataclass(frozen=True, slots=True)
class Worker:
    """One pool process of one provider."""

    name: str
    provider: str
    slots: int
    device: str
    pid: int


class Presence:
    """Heartbeats in the state Redis, by the server's clock.

    voice:workers            zset  worker names by the time of their last heartbeat
    voice:worker:{name}      what it is
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._live = redis.register_script(_LIVE)
        self._stats = ProviderStats(redis)

    def beat(self, worker: Worker) -> None:
        """Say that a worker lives."""
        with state_errors():
            now_ms = self._now_ms()
            pipe = self._redis.pipeline(transaction=False)
            pipe.set(f"voice:worker:{worker.name}", json.dumps(asdict(worker)), px=LIVE_FOR_MS)
            pipe.zadd("voice:workers", {worker.name: now_ms})
            pipe.zremrangebyscore("voice:workers", "-inf", now_ms - 60_000)
            pipe.execute()

    def leave(self, worker: Worker) -> None:
        """Say that a worker stops."""
        with state_errors():
            self._redis.zrem("voice:workers", worker.name)
            self._redis.delete(f"voice:worker:{worker.name}")

    def roll_call(self) -> tuple[int, list[Worker]]:
        """Give the time by the server's clock, in milliseconds since 1970, and every worker live then."""
        with state_errors():
            now_ms, *records = cast("list[Any]", self._live(args=[LIVE_FOR_MS]))
        return now_ms, [Worker(**json.loads(record)) for record in records if record]

    def workers(self) -> list[Worker]:
        """Give every live worker."""
        return self.roll_call()[1]

    def live(self) -> frozenset[str]:
        """Give the names of the providers that have a live worker."""
        return frozenset(worker.provider for worker in self.workers())

    def slots(self, provider: str) -> int:
        """Count how many syntheses the provider's live workers can do at once."""
        return sum(worker.slots for worker in self.workers() if worker.provider == provider)

    def service_ms(self, provider: str) -> float:
        """Give the mean time of a synthesis lately; one second until there was one."""
        return self._stats.service_ms(provider)

    def pace_seconds(self, provider: str) -> float:
        """Estimate how long it takes from one synthesis that ends there to the next."""
        return self.service_ms(provider) / max(self.slots(provider), 1) / 1000

    def eta_seconds(self, provider: str, position: int) -> float:
        """Estimate when the rendering at this position of the provider's queue is done."""
        return round(position * self.pace_seconds(provider), 3)

    def drain_seconds(self, provider: str, queued: int) -> float:
        """Estimate when a backlog is done, and what runs meanwhile: where work waits, every slot is taken."""
        return self.eta_seconds(provider, queued) + self.service_ms(provider) / 1000

    def _now_ms(self) -> int:
        seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000
