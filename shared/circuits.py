"""Circuit breakers, one a provider, shared by every process: who keeps failing is left alone for a while."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, cast

import structlog

from shared.connections import state_errors

if TYPE_CHECKING:
    from redis import Redis

    from shared.connections import Command

CIRCUITS = "voice:circuits"
REASONS, _HELD = "voice:circuits:why", "voice:circuits:held"
PROBE_AFTER_MS = 15_000
"""How long an open circuit lets nobody through, and how long each of its probes has."""
WINDOW_S = 30
MIN_ATTEMPTS = 20
_MIN_FAILED = 0.5
# A few workers cannot fail so often in that time when each failure takes long, so such an attempt counts as
# several: one for each of these, and five at most.
_COUNTS_PER_MS, _MAX_COUNT = WINDOW_S * 1000 / MIN_ATTEMPTS, 5

# Returns 'opened', 'closed' or ''.
_NOTE = """
local provider, outcome, is_probe, times = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
local probe_after_ms, window_s, min_attempts, min_failed = unpack(ARGV, 5, 8)
local circuits, reasons, outcomes, held = unpack(KEYS)
local now_s, microseconds = unpack(redis.call('TIME'))

local function open(why)
  redis.call('ZADD', circuits, now_s * 1000 + math.floor(microseconds / 1000) + probe_after_ms, provider)
  redis.call('HSET', reasons, provider, why)
  redis.call('SREM', held, provider)
  redis.call('DEL', outcomes)
end

if redis.call('ZSCORE', circuits, provider) then
  if not is_probe then return '' end  -- it began before the circuit opened
  if outcome == 'failed' then
    open('The last attempt, made to try it again, failed.')
    return ''
  end
  redis.call('ZREM', circuits, provider)
  redis.call('HDEL', reasons, provider)
  redis.call('SREM', held, provider)
  return 'closed'
end

redis.call('HINCRBY', outcomes, outcome .. ':' .. now_s, times)
redis.call('EXPIRE', outcomes, window_s)
local count = {spoke = 0, failed = 0}
local fields = redis.call('HGETALL', outcomes)
for place = 1, #fields, 2 do
  local what, second = string.match(fields[place], '(%a+):(%d+)')
  if second + window_s <= tonumber(now_s) then
    redis.call('HDEL', outcomes, fields[place])
  else
    count[what] = count[what] + fields[place + 1]
  end
end
local attempts = count.spoke + count.failed
if attempts < tonumber(min_attempts) or count.failed < min_failed * attempts then return '' end
open(count.failed .. ' of ' .. attempts .. ' attempts within ' .. window_s .. ' s failed.')
return 'opened'
"""

log = structlog.get_logger()


class CircuitState(StrEnum):
    """Who is let through."""

    CLOSED = "closed"
    """Everybody."""
    HALF_OPEN = "half_open"
    """One, to try."""
    OPEN = "open"
    """Nobody."""


class Circuits:
    """The breakers, in the state Redis, by the server's clock.

    A closed circuit opens when at least half of at least 20 attempts within 30 s failed, where one of several
    seconds counts as up to five. An open one lets a probe through every 15 s, which the ledger's `claim`
    hands out; when one speaks, it closes.

    voice:circuits               zset  those that are open, by when each lets the next probe through (ms)
    voice:circuits:why           hash  why each of them is open
    voice:circuits:held          set   those of them that are held open
    voice:outcomes:{provider}    hash  {spoke|failed}:{second} → how many, of the last 30 s

    Every method raises `StateUnavailable` when Redis cannot be reached.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def note(
        self, provider: str, *, has_failed: bool, duration_ms: float = 0.0, is_probe: bool = False
    ) -> None:
        """Take an attempt's outcome into account; an open circuit heeds its probes only."""
        noting = self.noting(provider, has_failed=has_failed, duration_ms=duration_ms, is_probe=is_probe)
        with state_errors():
            self.tell(provider, cast("bytes", self._redis.execute_command(*noting)))

    def noting(self, provider: str, *, has_failed: bool, duration_ms: float, is_probe: bool) -> Command:
        """Give the command that takes an outcome into account; its answer is for `tell`."""
        outcome = "failed" if has_failed else "spoke"
        times = min(max(int(duration_ms / _COUNTS_PER_MS), 1), _MAX_COUNT)
        keys = (CIRCUITS, REASONS, f"voice:outcomes:{provider}", _HELD)
        limits = (PROBE_AFTER_MS, WINDOW_S, MIN_ATTEMPTS, _MIN_FAILED)
        return ("EVAL", _NOTE, len(keys), *keys, provider, outcome, int(is_probe), times, *limits)

    def tell(self, provider: str, turn: bytes) -> None:
        """Log that a circuit opened or closed."""
        if turn:
            log.warning("circuit_opened" if turn == b"opened" else "circuit_closed", provider=provider)

    def hold_open(self, provider: str, until_ms: int, why: str) -> None:
        """Let nobody through before that time (milliseconds since 1970), whatever the outcomes are.

        Then it is due a probe, like one that opened for its failures.
        """
        with state_errors(), self._redis.pipeline() as pipe:
            pipe.zadd(CIRCUITS, {provider: until_ms})
            pipe.hset(REASONS, provider, why)
            pipe.sadd(_HELD, provider)
            pipe.execute()

    def release(self, provider: str) -> None:
        """Close the circuit if it is held open."""
        if self.is_held(provider):
            self.close(provider)
            log.info("circuit_released", provider=provider)

    def close(self, provider: str) -> None:
        """Let everybody through again."""
        with state_errors(), self._redis.pipeline() as pipe:
            pipe.zrem(CIRCUITS, provider)
            pipe.hdel(REASONS, provider)
            pipe.srem(_HELD, provider)
            pipe.execute()

    def is_held(self, provider: str) -> bool:
        """Tell whether it is held open, rather than for its failures."""
        with state_errors():
            return bool(self._redis.sismember(_HELD, provider))
