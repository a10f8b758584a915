"""How many syntheses an API key may begin in a minute; the state Redis counts them for all fronts."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter

from shared.connections import state_errors

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger()


class RateLimit:
    """Windows of a minute; a key's begins with the first synthesis that is counted in it.

    Who might begin a synthesis takes one from the window beforehand and gives it back when none was begun. So
    never more are begun than allowed, and what was joined or refused does not count in the end; but at the
    very limit, one that is about to be given back may keep another request out.

    voice:rate:…/{key id}/…  counter, which expires with its window
    """

    def __init__(self, redis: Redis, per_minute: int) -> None:
        """Count on the client's connections, with its timeouts; `per_minute` 0 is no limit."""
        storage = RedisStorage("redis://", connection_pool=redis.connection_pool, key_prefix="voice:rate")
        self._windows = FixedWindowRateLimiter(storage)
        self._limit = RateLimitItemPerMinute(per_minute)
        self._is_on = per_minute > 0

    def take(self, key_id: str) -> bool:
        """Take one from the key's window, in one round trip; False when there was none.

        Raises:
            StateUnavailable: Redis failed.
        """
        if not self._is_on:
            return True
        with state_errors():
            is_free = self._windows.hit(self._limit, key_id)
        if not is_free:
            self.give_back(key_id)  # counted all the same
        return is_free

    def give_back(self, key_id: str) -> None:
        """Put back the one that was taken; when Redis fails it is lost until the window ends."""
        if not self._is_on:
            return
        try:
            self._windows.hit(self._limit, key_id, cost=-1)
        except redis.RedisError as error:
            log.warning("give_back_failed", error=type(error).__name__)

    def resets_in_s(self, key_id: str) -> int:
        """Give the whole seconds after which the key's window has ended for certain.

        Raises:
            StateUnavailable: Redis failed.
        """
        with state_errors():
            reset_s = self._windows.get_window_stats(self._limit, key_id).reset_time
        # One more, because what the library calls the reset is a TTL rounded to the nearest second.
        return min(math.ceil(reset_s - time.time()) + 1, self._limit.get_expiry())
