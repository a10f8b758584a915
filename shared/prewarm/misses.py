"""What interactive requests did not find in the cache, ranked: what was missed most lately comes first.

A miss counts one, and half of it a day later. A request pays an append to a list; Redis is told behind it.

    voice:missed         zset  what was missed, by a logarithm of how often lately; see `common.lua`
    voice:missed:about   hash  the request, text and all
    voice:missed:counts  hash  how often it was missed since it is in the list
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.connections import state_errors
from shared.lua import load_script
from shared.models import SpeechRequest

if TYPE_CHECKING:
    from redis import Redis

    from shared.orders import Order

HALF_LIFE_MS = 24 * 60 * 60 * 1000
# And a quarter more for a while, each of up to `VOICEFARM_MAX_TEXT_CHARS`.
MAX_KEPT = 2000
_MAX_UNTOLD = 1000


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that was missed."""

    request: SpeechRequest
    count: int
    """How often, since it is in the list."""
    score: float
    """How often lately: each time counts one, and half as much a day later."""


class Misses:
    """What this process's requests missed, and what all of them did."""

    def __init__(self, redis: Redis, *, is_on: bool) -> None:
        """Count them; unless it `is_on` nothing is kept."""
        self._redis = redis
        self._is_on = is_on
        self._script = load_script(redis, "shared.prewarm", "miss")
        self._untold: deque[SpeechRequest] = deque(maxlen=_MAX_UNTOLD)

    def note(self, order: Order) -> None:
        """Count a request that was not in the cache."""
        if self._is_on:
            self._untold.append(order.normalized)

    def flush(self) -> None:
        """Tell Redis what was counted since the last time; what is counted meanwhile waits for the next.

        Raises:
            StateUnavailable: Redis failed; some are not counted.
        """
        while self._untold:
            request = self._untold.popleft()
            with state_errors():
                self._script(args=[request_name(request), request.model_dump_json(), HALF_LIFE_MS, MAX_KEPT])

    def top(self, limit: int) -> list[Miss]:
        """Give what was missed most lately, first what was missed most.

        Raises:
            StateUnavailable: Redis failed.
        """
        with state_errors():
            ranked = self._redis.zrevrange("voice:missed", 0, limit - 1, withscores=True)
            found = cast("list[tuple[bytes, float]]", ranked)
            if not found:
                return []
            names = [name for name, _ in found]
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.time()
                pipe.hmget("voice:missed:about", names)
                pipe.hmget("voice:missed:counts", names)
                (seconds, _), about, counts = pipe.execute()
        now = seconds * 1000 / HALF_LIFE_MS
        return [
            Miss(SpeechRequest.from_json(request.decode()), int(count), 2 ** (score - now))
            for (_, score), request, count in zip(found, about, counts, strict=True)
            if request and count  # it may have been forgotten meanwhile
        ]


def request_name(request: SpeechRequest) -> str:
    """Name a request in a ranking: one alike in every field has the same."""
    fields = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(fields.encode()).hexdigest()[:32]
