"""What Redis tells of changes in the cache, for those who hold some of it in memory."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import redis
import structlog

from shared.connections import own_connection, reader_client

if TYPE_CHECKING:
    from redis.connection import ConnectionInterface

# How long what is held in memory may be served while Redis cannot be heard.
DEAF_FOR_S = 60.0
_CHANNEL = "__redis__:invalidate"
_PREFIXES = ("voice:audio:", "voice:metadata:")
_REMEMBERED = 10_000
_PING_EVERY_S = 5.0
_LOST_AFTER_S = 3 * _PING_EVERY_S
_RECONNECT_S = 0.2

log = structlog.get_logger()


class Invalidations:
    """Follows Redis's client-side caching messages (CLIENT TRACKING, broadcast mode) on a thread.

    Redis sends one for every key under the prefixes that is written, deleted, evicted or found expired.
    """

    def __init__(self, audio_url: str) -> None:
        self._redis = reader_client(audio_url, _PING_EVERY_S)
        self._closing = threading.Event()
        self._changed_at: dict[str, float] = {}
        self._all_changed_at = self._heard_at = float("-inf")

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="invalidations", daemon=True).start()

    def close(self) -> None:
        """End the thread, within the interval of its pings."""
        self._closing.set()

    def may_have_changed(self, key: str, since: float) -> bool:
        """Tell whether the entry under a cache key may have changed since a time of `time.monotonic`."""
        if time.monotonic() - self._heard_at > DEAF_FOR_S:
            return True
        return max(self._all_changed_at, self._changed_at.get(key, float("-inf"))) >= since

    def _run(self) -> None:
        while not self._closing.is_set():
            connection = own_connection(self._redis)
            try:
                self._follow(connection)
            except redis.RedisError as error:
                if not self._closing.wait(_RECONNECT_S):
                    log.warning("invalidations_lost", error=type(error).__name__)
            finally:
                connection.disconnect()

    def _follow(self, connection: ConnectionInterface) -> None:
        me = _call(connection, "CLIENT", "ID")
        prefixes = [word for prefix in _PREFIXES for word in ("PREFIX", prefix)]
        # With protocol 2 the messages come to a subscription, which may be this connection's own.
        _call(connection, "CLIENT", "TRACKING", "ON", "REDIRECT", me, "BCAST", *prefixes)
        _call(connection, "SUBSCRIBE", _CHANNEL)
        self._note_all()
        self._heard_at = time.monotonic()
        while not self._closing.is_set():
            if time.monotonic() - self._heard_at > _LOST_AFTER_S:
                raise redis.TimeoutError("no answer to several pings")
            if not connection.can_read(_PING_EVERY_S):
                connection.send_command("PING")
                continue
            kind, *rest = connection.read_response()
            if kind == b"message":
                self._note(rest[1])
            self._heard_at = time.monotonic()

    def _note(self, names: list[bytes] | None) -> None:
        if names is None:
            self._note_all()
            return
        for name in names:
            key = name.decode().rpartition(":")[2]
            self._changed_at.pop(key, None)  # to the end
            self._changed_at[key] = time.monotonic()
        while len(self._changed_at) > _REMEMBERED:
            self._all_changed_at = self._changed_at.pop(next(iter(self._changed_at)))

    def _note_all(self) -> None:
        self._all_changed_at = time.monotonic()
        self._changed_at.clear()


def _call(connection: ConnectionInterface, *words: Any) -> Any:
    connection.send_command(*words)
    return connection.read_response()
