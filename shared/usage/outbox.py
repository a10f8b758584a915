"""What is written down in the state Redis and not yet in SQL: an outbox, so that no worker waits for SQL.

    voice:usage       stream  a `usage` an entry, written in one step with what the attempt did to the ledger
    voice:usage:turn  string  there for a moment after some process began to move entries to SQL

An entry is deleted once it is in SQL, so nothing is lost and an entry may be found that is there already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, cast

from shared.connections import state_errors
from shared.usage.records import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis import Redis

STREAM = "voice:usage"
BATCH = 500
_TURN = "voice:usage:turn"

_Raw = tuple[bytes, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One usage as it lies in the outbox."""

    id: str
    usage: Usage | None
    """None where it is of a version that is not understood here, and so another process's to move."""

    @classmethod
    def parse(cls, raw: _Raw) -> Self:
        """Take an entry of the stream apart."""
        entry_id, fields = raw
        try:
            usage = Usage.from_json(fields[b"usage"])
        except (KeyError, TypeError, ValueError, ArithmeticError):
            usage = None
        return cls(entry_id.decode(), usage)

    @property
    def at(self) -> datetime:
        """When it was written, to the millisecond; no entry is older than one before it."""
        return datetime.fromtimestamp(int(self.id.partition("-")[0]) / 1000, UTC)


class Outbox:
    """The stream's operations; every one raises `StateUnavailable` when Redis cannot be reached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def batches(self) -> Iterator[Sequence[Entry]]:
        """Give every entry, the oldest first, at most `BATCH` at once; they may be struck meanwhile."""
        after = "-"
        while True:
            with state_errors():
                raw = cast("list[_Raw]", self._redis.xrange(STREAM, min=after, count=BATCH))
            if not raw:
                return
            entries = [Entry.parse(each) for each in raw]
            yield entries
            after = f"({entries[-1].id}"

    def strike(self, entries: Sequence[Entry]) -> None:
        """Delete entries that are in SQL."""
        if entries:
            with state_errors():
                self._redis.xdel(STREAM, *(entry.id for entry in entries))

    def size(self) -> int:
        """Count what is not in SQL yet."""
        with state_errors():
            return int(self._redis.xlen(STREAM))

    def take_turn(self, turn_ms: int) -> bool:
        """Tell whether nobody else has taken the turn in the last `turn_ms`; then it is the caller's."""
        with state_errors():
            return bool(self._redis.set(_TURN, 1, nx=True, px=turn_ms))
