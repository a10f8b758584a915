"""Following renderings as they move: one blocking reader of their stream serves a whole process."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import redis
import structlog

from shared.connections import reader_client, state_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    _Entries = list[tuple[bytes, dict[bytes, bytes]]]
    _Streams = list[tuple[bytes, _Entries]]

_STREAM = "voice:transitions"
_BLOCK_S = 5.0
_RECONNECT_S = 0.2

log = structlog.get_logger()


class TransitionReader:
    """Wakes those who follow a rendering; its thread starts with the first of them."""

    def __init__(self, state_url: str) -> None:
        self._redis = reader_client(state_url, _BLOCK_S)
        self._watches: defaultdict[str, list[threading.Event]] = defaultdict(list)
        self._lock = threading.Lock()
        self._last_id = "0-0"
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    @contextmanager
    def watching(self, rendering_id: str) -> Iterator[threading.Event]:
        """Give an event that is set whenever this rendering moves or a job leaves it, from now on.

        Look at the ledger after entering, then wait: what happened before is there, what comes later sets it.

        Raises:
            StateUnavailable: Redis failed.
        """
        moved = threading.Event()
        with self._lock:
            self._start()
            self._watches[rendering_id].append(moved)
        try:
            yield moved
        finally:
            with self._lock:
                self._watches[rendering_id].remove(moved)
                if not self._watches[rendering_id]:
                    del self._watches[rendering_id]

    def _start(self) -> None:
        if self._thread is not None:
            return
        with state_errors():
            newest = cast("_Entries", self._redis.xrevrange(_STREAM, count=1))
        self._last_id = newest[0][0].decode() if newest else "0-0"
        self._thread = threading.Thread(target=self._read, name="transition-reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, within the time that a read blocks."""
        self._closing.set()

    def _read(self) -> None:
        while not self._closing.is_set():
            try:
                reply = self._redis.xread({_STREAM: self._last_id}, block=int(_BLOCK_S * 1000))
            except redis.RedisError as error:
                log.warning("transition_stream_lost", error=type(error).__name__)
                self._closing.wait(_RECONNECT_S)
                continue
            for _stream, entries in cast("_Streams", reply):
                self._wake(entries)

    def _wake(self, entries: _Entries) -> None:
        for entry_id, fields in entries:
            self._last_id = entry_id.decode()
            with self._lock:
                for moved in self._watches.get(fields[b"rendering"].decode(), ()):
                    moved.set()
