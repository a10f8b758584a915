"""Counting requests behind the answers: it costs an addition, Redis is told a few times a second."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Literal

import redis
import structlog

if TYPE_CHECKING:
    from redis import Redis

FLUSH_EVERY_S = 0.5

log = structlog.get_logger()


class RequestCounter:
    """This process's requests that Redis has not been told of yet; what is left at a SIGKILL is lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to tell Redis, and once more when the process ends."""
        threading.Thread(target=self._run, name="request-counter").start()

    def count(self, what: Literal["hits", "misses", "coalesced"]) -> None:
        """Count a request by what came of it."""
        with self._lock:
            self._counts[what] += 1

    def flush(self) -> None:
        """Tell Redis now.

        Raises:
            redis.RedisError: it did not take them; they stay here.
        """
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with self._redis.pipeline() as pipe:
                for what, number in counts.items():
                    pipe.hincrby("voice:stats", what, number)
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
