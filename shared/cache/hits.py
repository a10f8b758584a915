"""Counting hits behind the answers: a hit costs an addition, Redis is told a few times a second."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import redis
import structlog

if TYPE_CHECKING:
    from redis import Redis

FLUSH_EVERY_S = 0.5

log = structlog.get_logger()


class HitCounter:
    """This process's hits that Redis has not been told of yet; what is left at a SIGKILL is lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._lock = threading.Lock()
        self._hits = 0

    def start(self) -> None:
        """Begin to tell Redis, and once more when the process ends."""
        threading.Thread(target=self._run, name="hit-counter").start()

    def add(self, hits: int = 1) -> None:
        """Count."""
        with self._lock:
            self._hits += hits

    def flush(self) -> None:
        """Tell Redis now.

        Raises:
            redis.RedisError: it did not take them; they stay here.
        """
        with self._lock:
            hits, self._hits = self._hits, 0
        if not hits:
            return
        try:
            self._redis.hincrby("voice:stats", "hits", hits)
        except redis.RedisError:
            self.add(hits)
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
