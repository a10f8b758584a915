"""What requests leave behind, told to Redis a few times a second: a request pays an addition for it."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

import redis
import structlog

if TYPE_CHECKING:
    from redis import Redis

FLUSH_EVERY_S = 0.5
_MAX_EXPIRING = 10_000
# Where nobody gives them a new time they are not kept.
_EXPIRING_KEPT_S = 24 * 60 * 60

log = structlog.get_logger()


class RequestCounter:
    """What Redis has not been told yet of this process's requests; what is left at a SIGKILL is lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._expiring: set[str] = set()

    def start(self) -> None:
        """Begin to tell Redis, and once more when the process ends."""
        threading.Thread(target=self._run, name="request-counter").start()

    def count(self, what: Literal["hits", "misses", "coalesced"]) -> None:
        """Count a request by what came of it."""
        with self._lock:
            self._counts[what] += 1

    def note_expiring(self, key: str) -> None:
        """Note an entry that was asked for while its time runs out; of very many some are not noted."""
        with self._lock:
            if len(self._expiring) < _MAX_EXPIRING:
                self._expiring.add(key)

    def flush(self) -> None:
        """Tell Redis now.

        Raises:
            redis.RedisError: it did not take them; the counts stay here.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
            expiring, self._expiring = self._expiring, set()
        if not counts and not expiring:
            return
        try:
            with self._redis.pipeline() as pipe:
                for what, number in counts.items():
                    pipe.hincrby("voice:stats", what, number)
                if expiring:
                    pipe.sadd("voice:expiring", *expiring)
                    pipe.expire("voice:expiring", _EXPIRING_KEPT_S)
                pipe.execute()
        except redis.RedisError:
            with self._lock:
                self._counts += counts
            raise

    def _run(self) -> None:
        # Not a daemon: Python waits for it after the main thread has ended, also in a multiprocessing child.
        main = threading.main_thread()
        while main.is_alive():
            main.join(FLUSH_EVERY_S)
            try:
                self.flush()
            except redis.RedisError as error:
                log.warning("cache_failed", error=type(error).__name__)
