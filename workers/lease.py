"""The right to one attempt, kept while the work goes on."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Self

import structlog

from shared.errors import VoicefarmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.ledger import Claim, Ledger

# A renewal is a script of some 50 µs, and the way in which a worker learns that its job was cancelled.
_RENEW_AT_LEAST_EVERY_S = 1.0

log = structlog.get_logger()


class LeaseLost(Exception):
    """The attempt is over: nobody wants the audio any more (`abandoned`), or another worker has it."""

    def __init__(self, *, abandoned: bool) -> None:
        self.abandoned = abandoned
        super().__init__("abandoned" if abandoned else "fenced")


class Lease:
    """Renews a claim every third of its time, and every second, from a thread of its own.

    That calls `on_loss` once when the claim is lost, after which `check` raises.
    """

    def __init__(self, ledger: Ledger, claim: Claim, on_loss: Callable[[], None]) -> None:
        self._ledger = ledger
        self._claim = claim
        self._on_loss = on_loss
        self._stopping = threading.Event()
        self._lost: str | None = None
        # Its log lines are about the same rendering.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._renew,), name="lease", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()

    def check(self) -> None:
        """Return while the work may go on.

        Raises:
            LeaseLost: it may not.
        """
        if self._lost:
            raise LeaseLost(abandoned=self._lost == "abandoned")

    def _renew(self) -> None:
        pause_s = min(self._ledger.lease_ms / 3000, _RENEW_AT_LEAST_EVERY_S)
        while not self._stopping.wait(pause_s):
            try:
                answer = self._ledger.renew(self._claim)
            except VoicefarmError as error:
                log.warning("renewal_failed", code=error.code)
                continue
            if answer != "kept":
                self._lost = answer
                self._on_loss()
                return
