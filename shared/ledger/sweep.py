"""The one recovery mechanism: once a second every process looks for what was lost and rings again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from shared.errors import VoicefarmError
from shared.ledger.records import log_fields

if TYPE_CHECKING:
    from shared.doorbell import Doorbell
    from shared.ledger.store import Ledger
    from shared.outcomes import Outcomes
    from shared.presence import Presence

INTERVAL_S = 1.0

log = structlog.get_logger()


class Sweep:
    """Runs the ledger's sweep on a thread of its own."""

    def __init__(self, ledger: Ledger, presence: Presence, doorbell: Doorbell, outcomes: Outcomes) -> None:
        self._ledger = ledger
        self._presence = presence
        self._doorbell = doorbell
        self._outcomes = outcomes

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="sweep", daemon=True).start()

    def _run(self) -> None:
        while True:
            time.sleep(INTERVAL_S)
            try:
                self.once()
            except VoicefarmError as error:
                log.warning("sweep_failed", code=error.code, detail=error.detail)

    def once(self) -> None:
        """Take one pass: route what is due to who can speak it, and ring where a doorbell is missing."""
        due, lost = self._ledger.sweep()
        for name in lost:
            self._outcomes.failed(name, "worker_lost")
        if not due:
            return
        roll_call = self._presence.roll_call()
        lacking: dict[str, int] = {}
        for waiting in due:
            provider = self._ledger.redirect(waiting, roll_call)
            if provider is None:
                continue
            queue = waiting.priority.queue(provider)
            if queue not in lacking:
                lacking[queue] = self._ledger.queued(queue) - self._doorbell.backlog(queue)
            if lacking[queue] > 0:
                lacking[queue] -= 1
                with structlog.contextvars.bound_contextvars(request_id=waiting.request_id):
                    self._doorbell.ring(queue, waiting.rendering_id)
                    log.info("rung_again", provider=provider, **log_fields(waiting.rendering_id))
