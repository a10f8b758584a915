"""Which workers are alive, and which providers can take work now."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from shared.circuits import CIRCUITS, REASONS, CircuitState
from shared.connections import state_errors
from shared.ledger.attempts import Attempt, PassedOver
from shared.provider_stats import ProviderStats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis import Redis

HEARTBEAT_S = 2.0
# Three heartbeats and a little: a worker that has been silent for so long is taken for dead.
LIVE_FOR_MS = 7_000

_ROLL_CALL = """
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {now_ms, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'), redis.call('HGETALL', KEYS[2])}
for _, name in ipairs(redis.call('ZRANGEBYSCORE', 'voice:workers', now_ms - ARGV[1], '+inf')) do
  table.insert(answer, redis.call('GET', 'voice:worker:' .. name))
end
return answer
"""
ROLL_CALL = ("EVAL", _ROLL_CALL, 2, CIRCUITS, REASONS, LIVE_FOR_MS)
"""The command that is answered with the `RollCall`."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One pool process of one provider."""

    name: str
    provider: str
    slots: int
    device: str
    pid: int
    voices: tuple[str, ...] = ()
    """The IDs of the voice samples that it holds in memory."""
    memory_bytes: int | None = None
    """What it takes of the machine's memory; None where its processes come and go."""
    device_memory_bytes: int | None = None
    """What it takes of its device's; None where that is the machine's."""


@dataclass(frozen=True, slots=True)
class RollCall:
    """Who can take work at one moment."""

    now_ms: int
    """That moment by the server's clock, in milliseconds since 1970."""
    workers: tuple[Worker, ...]
    """Every live one."""
    probes_ms: Mapping[str, int]
    """When each circuit that is not closed lets the next probe through, by provider."""
    reasons: Mapping[str, str]
    """Why each of them was opened."""

    @classmethod
    def of(cls, answer: Any) -> Self:
        """Decode the answer to `ROLL_CALL`."""
        now_ms, circuits, reasons, *records = answer
        return cls(
            now_ms=now_ms,
            workers=tuple(_worker(record) for record in records if record),
            probes_ms={name: int(score) for name, score in _pairs(circuits)},
            reasons=dict(_pairs(reasons)),
        )

    def obstacle(self, provider: str) -> PassedOver | None:
        """Tell why a provider cannot take work; None when it can."""
        if not self.has_worker(provider):
            return PassedOver.NO_WORKER
        return PassedOver.CIRCUIT_OPEN if self.circuit(provider) is CircuitState.OPEN else None

    def told(self, provider: str, obstacle: PassedOver) -> Attempt:
        """Record that it was passed over."""
        reason = self.reasons.get(provider, "") if obstacle is PassedOver.CIRCUIT_OPEN else ""
        return Attempt.passed_over(provider, obstacle, reason)

    def has_worker(self, provider: str) -> bool:
        """Tell whether somebody works for it."""
        return any(worker.provider == provider for worker in self.workers)

    def circuit(self, provider: str) -> CircuitState:
        """Give the state of its circuit."""
        if provider not in self.probes_ms:
            return CircuitState.CLOSED
        is_due = self.probes_ms[provider] <= self.now_ms
        return CircuitState.HALF_OPEN if is_due else CircuitState.OPEN


class Presence:
    """Heartbeats in the state Redis, by the server's clock.

    voice:workers            zset  worker names by the time of their last heartbeat
    voice:worker:{name}      what it is
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
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

    def roll_call(self) -> RollCall:
        """Find out who can take work, in one round trip."""
        with state_errors():
            return RollCall.of(self._redis.execute_command(*ROLL_CALL))

    def workers(self) -> tuple[Worker, ...]:
        """Give every live worker."""
        return self.roll_call().workers

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


@lru_cache(256)  # it stays the same from one heartbeat to the next, and every miss asks
def _worker(record: bytes) -> Worker:
    fields = json.loads(record)
    return Worker(**{**fields, "voices": tuple(fields["voices"])})


def _pairs(flat: list[bytes]) -> Iterator[tuple[str, str]]:
    texts = iter([text.decode() for text in flat])
    return zip(texts, texts, strict=True)
