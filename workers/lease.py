"""The right to one attempt, kept while the work goes on."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from enum import StrEnum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Self

import structlog

from shared.errors import VoicefarmError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from shared.ledger import Claim, Ledger

# A renewal is a script of some 50 µs, and the way in which a worker learns that its job was cancelled.
_RENEW_AT_LEAST_EVERY_S = 1.0

_END_EVERY_S = 0.1

# Twice that is well within the shortest lease, and longer than many a phrase takes.
_YOUNG_S = 0.1
# One for each rendering that has been under way for longer than that.
_KEEPERS = ThreadPoolExecutor(1024, thread_name_prefix="lease")

log = structlog.get_logger()


class Loss(StrEnum):
    """Why an attempt may not go on."""

    ABANDONED = "abandoned"
    """Nobody wants the audio any more."""
    FENCED = "fenced"
    """Another worker has it."""
    OVERDUE = "overdue"
    """It takes too long."""
    STUCK = "stuck"
    """The engine makes no step."""


class LeaseLost(Exception):
    """The attempt is over; `why` tells for what reason."""

    def __init__(self, why: Loss) -> None:
        self.why = why
        super().__init__(why)


class _Nursery:
    """Leases that were just taken, many of which end before anybody need keep them.

    One thread looks at them now and then. To wake one for each, as it begins and as it ends, takes a short
    rendering 0.3 ms.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._young: dict[Lease, Callable[[], None]] = {}
        self._is_watched = False
        self._has_some = threading.Event()

    def add(self, lease: Lease, keep: Callable[[], None]) -> None:
        """Have `keep` called on a thread of its own, if the lease is here for longer than a moment."""
        with self._lock:
            if not self._is_watched:
                threading.Thread(target=self._watch, name="lease-nursery", daemon=True).start()
                self._is_watched = True
            self._young[lease] = keep
            self._has_some.set()

    def discard(self, lease: Lease) -> None:
        """Take the lease away, if it is here still."""
        with self._lock:
            self._young.pop(lease, None)

    def _watch(self) -> None:
        while self._has_some.wait():
            time.sleep(_YOUNG_S)
            grown_at = time.monotonic() - _YOUNG_S
            with self._lock:
                grown = [(lease, keep) for lease, keep in self._young.items() if lease.begun_at <= grown_at]
                for lease, _ in grown:
                    del self._young[lease]
                if not self._young:
                    self._has_some.clear()
            for lease, keep in grown:
                try:
                    _KEEPERS.submit(keep).add_done_callback(_tell)
                except RuntimeError:  # no more threads; another time there may be
                    log.exception("lease_has_no_keeper")
                    self.add(lease, keep)


_nursery = _Nursery()


class Lease:
    """Renews a claim every third of its time, and every second, from a thread of its own after a moment.

    That calls `on_loss` when the claim is lost, `limit_s` are over or the engine `is_stuck`, after which
    `check` raises, and again until the work stops; and `on_hang` if it does not for all that and nobody else
    has it.
    """

    def __init__(
        self,
        ledger: Ledger,
        claim: Claim,
        *,
        limit_s: float,
        is_stuck: Callable[[], bool],
        on_loss: Callable[[], None],
        on_hang: Callable[[Loss], None],
    ) -> None:
        self._ledger = ledger
        self._claim = claim
        self._limit_s = limit_s
        self._is_stuck = is_stuck
        self._on_loss = on_loss
        self._on_hang = on_hang
        self._stopping = threading.Event()
        self._lost: Loss | None = None
        self.begun_at = inf

    def __enter__(self) -> Self:
        self.begun_at = time.monotonic()
        # Its log lines are about the same rendering.
        _nursery.add(self, partial(copy_context().run, self._keep))
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        _nursery.discard(self)

    def check(self) -> None:
        """Return while the work may go on.

        Raises:
            LeaseLost: it may not.
        """
        if self._lost:
            raise LeaseLost(self._lost)

    def _keep(self) -> None:
        until_s = self.begun_at + self._limit_s
        pause_s = min(self._ledger.lease_ms / 3000, _RENEW_AT_LEAST_EVERY_S)
        due_s = self.begun_at + pause_s
        while not self._stopping.wait(max(min(due_s, until_s) - time.monotonic(), 0)):
            lost = self._hang(until_s) or self._renew()
            if self._stopping.is_set():  # whoever ended the attempt himself has nothing to be told
                break
            self._lost = lost
            if self._lost:
                self._end(self._lost, pause_s)
                break
            due_s = time.monotonic() + pause_s

    def _end(self, lost: Loss, patience_s: float) -> None:
        # Again, because the work may have been between two steps, and now be at the next.
        until_s = time.monotonic() + patience_s
        self._on_loss()
        while not self._stopping.wait(_END_EVERY_S):
            # While the lease still holds, so that what became of the attempt can be told.
            if lost in {Loss.OVERDUE, Loss.STUCK} and time.monotonic() >= until_s:
                self._on_hang(lost)
                break
            self._on_loss()

    def _hang(self, until_s: float) -> Loss | None:
        if time.monotonic() >= until_s:
            return Loss.OVERDUE
        return Loss.STUCK if self._is_stuck() else None

    def _renew(self) -> Loss | None:
        try:
            answer = self._ledger.renew(self._claim)
        except VoicefarmError as error:
            log.warning("renewal_failed", code=error.code)
            return None
        return None if answer == "kept" else Loss(answer)


def _tell(keeping: Future[None]) -> None:
    if error := keeping.exception():
        log.error("lease_not_kept", exc_info=error)
