"""Waiting for renderings to move on: one blocking reader of their stream serves a whole process."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import redis
import structlog
from cachetools import LRUCache

from shared.connections import reader_client, state_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    _Entries = list[tuple[bytes, dict[bytes, bytes]]]
    _Streams = list[tuple[bytes, _Entries]]

_STREAM = "voice:transitions"
_BLOCK_S = 5.0
_RECONNECT_S = 0.2
# What renderings do that ends no job.
_MOVES = {b"queued", b"running"}
# How many of the newest ends a process remembers, for who read of a job before them and watches only now.
_REMEMBERED = 1_000

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    event: threading.Event
    end_only: bool


class TransitionReader:
    """Wakes those who wait for a rendering; its thread starts with the first of them."""

    def __init__(self, state_url: str) -> None:
        self._redis = reader_client(state_url, _BLOCK_S)
        self._watches: defaultdict[str, list[_Watch]] = defaultdict(list)
        self._ended: LRUCache[str, bool] = LRUCache(_REMEMBERED)
        self._lock = threading.Lock()
        self._last_id = "0-0"
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    @contextmanager
    def watching(self, rendering_id: str, *, end_only: bool = False) -> Iterator[threading.Event]:
        """Give an event that is set whenever this rendering moves or a job leaves it, from now on.

        Look at the ledger after entering, then wait: what happened before is there, what comes later sets it.

        With `end_only` it is not set when the rendering is only queued or begun, which ends nobody's job. Nor
        need the ledger be looked at by who has read of the job a moment ago: an end since then sets it, too.

        Raises:
            StateUnavailable: Redis failed.
        """
        watch = _Watch(threading.Event(), end_only)
        with self._lock:
            self._start()
            self._watches[rendering_id].append(watch)
            if end_only and rendering_id in self._ended:
                watch.event.set()
        try:
            yield watch.event
        finally:
            with self._lock:
                self._watches[rendering_id].remove(watch)
                if not self._watches[rendering_id]:
                    del self._watches[rendering_id]

    def _start(self) -> None:
        if self._thread is not None:
            return
        with state_errors():
            newest = cast("_Entries", self._redis.xrevrange(_STREAM, count=_REMEMBERED))
        self._last_id = newest[0][0].decode() if newest else "0-0"
        self._ended.update({_rendering(fields): True for _, fields in reversed(newest) if _may_end(fields)})
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
            rendering_id, may_end = _rendering(fields), _may_end(fields)
            with self._lock:
                if may_end:
                    self._ended[rendering_id] = True
                for watch in self._watches.get(rendering_id, ()):
                    if may_end or not watch.end_only:
                        watch.event.set()


def _rendering(fields: dict[bytes, bytes]) -> str:
    return fields[b"rendering"].decode()


def _may_end(fields: dict[bytes, bytes]) -> bool:
    return fields[b"what"] not in _MOVES
