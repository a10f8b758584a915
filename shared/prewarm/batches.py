"""Batches in the state Redis: made, read, moved on, cancelled."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, cast

from shared.connections import state_errors
from shared.errors import Conflict, NotFound
from shared.ledger import Status
from shared.lua import load_script
from shared.prewarm.records import Batch, BatchStatus, FailedItem, Item

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from shared.ledger import Ledger

# How long a batch is kept after its end, and how long its items may wait for somebody who can speak them.
KEPT_MS = PATIENCE_MS = 24 * 60 * 60 * 1000
# More than both and a job's deadline together.
_MOST_MS = 3 * KEPT_MS
_WRITTEN_AT_ONCE = 500
_ALL = 1_000_000


class Batches:
    """Every batch that is kept. Every method raises `StateUnavailable` when Redis cannot be reached."""

    def __init__(self, redis: Redis, ledger: Ledger) -> None:
        self._redis = redis
        self._ledger = ledger
        names = ("begin", "take", "settle", "cancel")
        self._scripts = {name: load_script(redis, "shared.prewarm", name) for name in names}

    def _run(self, name: str, *arguments: str | int) -> Any:
        with state_errors():
            return self._scripts[name](args=list(arguments))

    def begin(self, items: Sequence[Item], *, owner: str, already_cached: int, estimated_s: float) -> str:
        """Make a batch of these and of so many that are cached already; gives its ID."""
        batch_id = str(uuid.uuid4())
        waiting = f"voice:batch:{batch_id}:waiting"
        for start in range(0, len(items), _WRITTEN_AT_ONCE):
            with state_errors(), self._redis.pipeline() as pipe:
                pipe.rpush(waiting, *(item.encode() for item in items[start : start + _WRITTEN_AT_ONCE]))
                pipe.pexpire(waiting, _MOST_MS)
                pipe.execute()
        total, estimated_ms = len(items) + already_cached, round(estimated_s * 1000)
        self._run("begin", batch_id, owner, total, already_cached, estimated_ms, KEPT_MS, _MOST_MS)
        return batch_id

    def take(self, batch_id: str) -> Item | None:
        """Move the next item of a batch on from those that wait; None when none does."""
        found = self._run("take", batch_id, _MOST_MS)
        return None if found is None else Item.decode(found)

    def begun(self, batch_id: str) -> list[Item]:
        """Give the items that were moved on and have no end yet, in their order."""
        with state_errors():
            found = cast("dict[bytes, bytes]", self._redis.hgetall(f"voice:batch:{batch_id}:begun"))
        items = (Item.decode(number + b" " + request) for number, request in found.items())
        return sorted(items, key=lambda item: item.number)

    def settle(self, batch_id: str, item: Item, outcome: Status, failure: FailedItem | None = None) -> None:
        """Count an item by how it ended; a second time changes nothing."""
        told = failure.to_json() if failure else ""
        self._run("settle", batch_id, item.number, outcome, told, KEPT_MS, _MOST_MS)

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch, and give it: what waits is dropped, what is queued left; what runs goes on.

        Raises:
            NotFound: there is no such batch, or it is no longer kept.
            Conflict: it has ended.
        """
        answer: bytes = self._run("cancel", batch_id, KEPT_MS)
        if answer == b"gone":
            raise _unknown(batch_id)
        if answer == b"ended":
            raise Conflict(f"The batch {batch_id} has ended already.")
        for item in self.begun(batch_id):
            self.withdraw(batch_id, item)
        return self.get(batch_id)

    def withdraw(self, batch_id: str, item: Item) -> None:
        """Cancel an item that is queued."""
        if self._ledger.leave(item.job_id(batch_id), if_queued=True) == "left":
            self.settle(batch_id, item, Status.CANCELLED)

    def open(self) -> list[Batch]:
        """Give the batches that have something to do, oldest first, without their failures."""
        with state_errors():
            ids = cast("list[bytes]", self._redis.zrange("voice:batches:open", 0, -1))
        return list(self._read([batch_id.decode() for batch_id in ids], failures=0).values())

    def ended(self) -> dict[Status, int]:
        """Give how many items have ended since the state Redis began, by state."""
        with state_errors():
            found = cast("dict[bytes, bytes]", self._redis.hgetall("voice:batches:ended"))
        return {status: int(found.get(status.encode(), 0)) for status in Status if status.has_ended}

    def get(self, batch_id: str) -> Batch:
        """Give a batch, with all its failures.

        Raises:
            NotFound: there is no such batch, or it is no longer kept.
        """
        found = self._read([batch_id], failures=_ALL)
        if batch_id not in found:
            raise _unknown(batch_id)
        return found[batch_id]

    def page(self, *, limit: int, before: int | None, failures: int) -> tuple[list[Batch], int | None]:
        """Give up to `limit` batches, newest first, with so many failures, and the next page's `before`."""
        newest = "+inf" if before is None else f"({before}"
        with state_errors():
            found = self._redis.zrevrangebyscore(
                "voice:batches", newest, "-inf", start=0, num=limit + 1, withscores=True
            )
        entries = [(name.decode(), int(score)) for name, score in cast("list[tuple[bytes, float]]", found)]
        page = entries[:limit]
        batches = self._read([name for name, _ in page], failures=failures)
        if expired := [name for name, _ in page if name not in batches]:
            with state_errors():
                self._redis.zrem("voice:batches", *expired)
        return list(batches.values()), page[-1][1] if len(entries) > limit else None

    def _read(self, ids: Sequence[str], *, failures: int) -> dict[str, Batch]:
        """Give those of them that are kept, in their order."""
        with state_errors(), self._redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for batch_id in ids:
                pipe.hgetall(f"voice:batch:{batch_id}")
                pipe.llen(f"voice:batch:{batch_id}:waiting")
                first, last = (0, failures - 1) if failures else (1, 0)  # which is none
                pipe.lrange(f"voice:batch:{batch_id}:failed", first, last)
            (seconds, microseconds), *replies = pipe.execute()
        now_ms = seconds * 1000 + microseconds // 1000
        return {
            batch_id: self._describe(batch_id, fields, waiting, failed, now_ms)
            for batch_id, fields, waiting, failed in zip(
                ids, replies[::3], replies[1::3], replies[2::3], strict=True
            )
            if fields
        }

    def _describe(
        self, batch_id: str, fields: Mapping[bytes, bytes], waiting: int, failed: list[bytes], now_ms: int
    ) -> Batch:
        numbers = {name.decode(): int(value) for name, value in fields.items() if name != b"owner"}
        counts = {status: numbers.get(status, 0) for status in Status}
        left = numbers["total"] - sum(counts.values())
        # Some may have been settled since the counts were read.
        counts[Status.RUNNING] = min(self._running(batch_id), left) if left > waiting else 0
        counts[Status.QUEUED] = left - counts[Status.RUNNING]
        finished_ms = numbers.get("finished_ms")
        status = BatchStatus.RUNNING if finished_ms is None else BatchStatus.FINISHED
        return Batch(
            id=batch_id,
            owner=fields[b"owner"].decode(),
            status=BatchStatus.CANCELLED if "cancelled_ms" in numbers else status,
            total=numbers["total"],
            already_cached=numbers["cached"],
            counts=counts,
            failed=tuple(map(FailedItem.from_json, failed)),
            eta_seconds=_eta_seconds(numbers, left, now_ms) if finished_ms is None else None,
            created_ms=numbers["created_ms"],
            finished_ms=finished_ms,
        )

    def _running(self, batch_id: str) -> int:
        """Count the items that are worked on, or were a moment ago."""
        jobs = self._ledger.jobs([item.job_id(batch_id) for item in self.begun(batch_id)])
        return sum(job.status is not Status.QUEUED for job in jobs.values())


def _eta_seconds(numbers: Mapping[str, int], left: int, now_ms: int) -> float:
    """Estimate how long a batch still takes: as long for each item as those before, or as was estimated."""
    to_make = numbers["total"] - numbers["cached"]
    done = to_make - left
    made_ms = (now_ms - numbers["created_ms"]) / done if done else numbers["estimated_ms"] / to_make
    return round(left * made_ms / 1000, 3)


def _unknown(batch_id: str) -> NotFound:
    return NotFound(f"There is no batch {batch_id}.")
