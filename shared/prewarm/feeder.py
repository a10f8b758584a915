"""Moves batches on: a few items at a time into the ledger, and out of it when they have ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import redis
import structlog

from shared.connections import state_errors
from shared.errors import RequestError, StateUnavailable, Unavailable, VoicefarmError
from shared.ledger import Status
from shared.orders import Order
from shared.prewarm.batches import PATIENCE_MS
from shared.prewarm.records import BatchStatus, FailedItem
from shared.prewarm.start import begin_start_batch
from shared.priorities import Priority

if TYPE_CHECKING:
    from shared.farm import Farm
    from shared.ledger import Job
    from shared.presence import RollCall
    from shared.prewarm.records import Batch, Item

# How many items of one batch are under way at once, and how many of all may wait for a provider: enough that
# no worker is idle until the next pass, few enough that little is left to do when a batch is cancelled.
BEGUN_AT_ONCE = 32
WAITING_AT_ONCE = 64
BUSY_PAUSE_S = 0.25
IDLE_PAUSE_S = 1.0
DEMAND_FLUSHED_EVERY_S = 5.0
_LEASE_S = 5.0
_NOT_CACHED = "It was spoken, but the cache did not take it: it is too large, or its voice has changed since."
_OVERDUE = "Nobody could speak it within a day."

log = structlog.get_logger()


class Feeder:
    """Runs on a thread of its own in every front; one at a time has the lease, and feeds."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        # Two that feed at once do no harm; it would be for nothing.
        self._lease = farm.state.lock(
            "voice:batches:feeder", timeout=_LEASE_S, blocking=False, thread_local=False
        )

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="feeder", daemon=True).start()

    def _run(self) -> None:
        pause = threading.Event()
        is_busy, is_started = False, not self._farm.start_lists
        while True:
            pause.wait(BUSY_PAUSE_S if is_busy else IDLE_PAUSE_S)
            try:
                self._farm.misses.flush()
                self._farm.demand.flush(every_s=DEMAND_FLUSHED_EVERY_S)
                has_lease = self._has_lease()
                if has_lease and not is_started:
                    begin_start_batch(self._farm)
                    is_started = True
                is_busy = has_lease and self.once()
            except VoicefarmError as error:
                log.warning("feeding_failed", code=error.code, detail=error.detail)

    def _has_lease(self) -> bool:
        with state_errors():
            try:
                return bool(self._lease.reacquire() if self._lease.owned() else self._lease.acquire())
            except redis.exceptions.LockError:  # it ran out just now
                return False

    def once(self) -> bool:
        """Take one pass over all batches; tells whether there is one to do anything for.

        Raises:
            StateUnavailable: Redis failed.
        """
        batches = self._farm.batches.open()
        roll_call = self._farm.presence.roll_call() if batches else None
        for batch in batches:
            if roll_call is not None:
                self._feed(batch, roll_call)
        return bool(batches)

    def _feed(self, batch: Batch, roll_call: RollCall) -> None:
        begun = self._farm.batches.begun(batch.id)
        jobs = self._farm.ledger.jobs([item.job_id(batch.id) for item in begun])
        under_way = 0
        for item in begun:
            under_way += self._look_after(batch, item, jobs.get(item.job_id(batch.id)), roll_call)
        while under_way < BEGUN_AT_ONCE and (taken := self._farm.batches.take(batch.id)):
            under_way += self._begin(batch, taken, roll_call)

    def _look_after(self, batch: Batch, item: Item, job: Job | None, roll_call: RollCall) -> bool:
        """Settle an item whose job has ended; tells whether it is still under way."""
        batches, is_cancelled = self._farm.batches, batch.status is BatchStatus.CANCELLED
        if job is None and is_cancelled:
            batches.settle(batch.id, item, Status.CANCELLED)
        elif job is None:  # it never had one, or it is no longer kept
            return self._begin(batch, item, roll_call)
        elif not job.status.has_ended:
            if is_cancelled:
                batches.withdraw(batch.id, item)
            return True
        elif job.status is Status.SUCCEEDED and not (job.result and job.result.cached):
            self._fail(batch, item, "not_cached", _NOT_CACHED)
        elif job.error:
            reasons = [f"{attempt.provider}: {attempt.detail}" for attempt in job.attempts]
            self._fail(batch, item, job.error.code, " ".join([job.error.detail, *reasons]))
        else:
            batches.settle(batch.id, item, job.status)
        return False

    def _begin(self, batch: Batch, item: Item, roll_call: RollCall) -> bool:
        """Submit a job for an item, or let it wait for the next pass; False when it has ended at once."""
        left_ms = batch.created_ms + PATIENCE_MS - roll_call.now_ms
        if left_ms <= 0:
            self._fail(batch, item, "deadline_exceeded", _OVERDUE)
            return False
        try:
            order = self._order(batch, item, roll_call)
            with state_errors():
                [is_held] = self._farm.cache.holding([order.key])
            if not is_held:
                self._submit(batch, item, order, left_ms)
                return True
        except StateUnavailable:
            raise
        except Unavailable as error:
            log.debug("batch_item_waits", batch=batch.id, code=error.code, detail=error.detail)
            return True
        except RequestError as error:
            self._fail(batch, item, error.code, error.detail)
        else:
            self._farm.batches.settle(batch.id, item, Status.SUCCEEDED)
        return False

    def _order(self, batch: Batch, item: Item, roll_call: RollCall) -> Order:
        directory = self._farm.directory
        return Order.of(
            item.request,
            directory.personality(directory.read_epoch(), item.request.personality_id),
            digest=self._farm.router.digest,
            owner=batch.owner,
            roll_call=roll_call,
        )

    def _submit(self, batch: Batch, item: Item, order: Order, left_ms: int) -> None:
        farm = self._farm
        route = farm.router.route(order.utterance, order.voice, order.roll_call)
        submitted = farm.ledger.submit(
            order.key,
            order.utterance,
            route.chain,
            route.provider,
            job_id=item.job_id(batch.id),
            owner=order.owner,
            request=order.request,
            looked_at_ms=order.looked_at_ms,
            passed_over=route.passed_over,
            priority=Priority.PREWARM,
            deadline_ms=left_ms,
            max_backlog=WAITING_AT_ONCE,
        )
        if submitted.how == "new":
            farm.doorbell.ring(Priority.PREWARM.queue(route.provider), submitted.rendering_id)

    def _fail(self, batch: Batch, item: Item, code: str, detail: str) -> None:
        self._farm.batches.settle(batch.id, item, Status.FAILED, FailedItem.of(item, code, detail))
        log.warning("batch_item_failed", batch=batch.id, code=code)
