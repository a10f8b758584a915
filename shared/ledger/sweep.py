"""The one recovery mechanism: once a second every process looks for what was lost and rings again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from shared.errors import VoicefarmError
from shared.ledger.records import log_fields
from shared.ledger.store import LOSSES_PER_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from shared.doorbell import Doorbell
    from shared.ledger.records import Attempt, Waiting
    from shared.ledger.store import Ledger
    from shared.presence import Presence

INTERVAL_S = 1.0

log = structlog.get_logger()


def next_provider(chain: Sequence[str], attempts: Sequence[Attempt], live: Collection[str]) -> str | None:
    """Give who is to speak next: the first of the chain that has not failed, preferably one that lives.

    A provider has failed when it reported so once, or was lost `LOSSES_PER_PROVIDER` times. None: all failed.
    """
    hopeful = [name for name in chain if not _has_failed(name, attempts)]
    return next((name for name in hopeful if name in live), hopeful[0] if hopeful else None)


def _has_failed(provider: str, attempts: Sequence[Attempt]) -> bool:
    codes = [attempt.code for attempt in attempts if attempt.provider == provider]
    return codes.count("worker_lost") >= LOSSES_PER_PROVIDER or any(code != "worker_lost" for code in codes)


class Sweep:
    """Runs the ledger's sweep on a thread of its own."""

    def __init__(self, ledger: Ledger, presence: Presence, doorbell: Doorbell) -> None:
        self._ledger = ledger
        self._presence = presence
        self._doorbell = doorbell

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
        due = self._ledger.sweep()
        if not due:
            return
        live = self._presence.live()
        lacking: dict[str, int] = {}
        for waiting in due:
            provider = self._place(waiting, live)
            if provider is None or provider not in live:
                continue
            if provider not in lacking:
                lacking[provider] = self._ledger.queued(provider) - self._doorbell.backlog(provider)
            if lacking[provider] > 0:
                lacking[provider] -= 1
                with structlog.contextvars.bound_contextvars(request_id=waiting.request_id):
                    self._doorbell.ring(provider, waiting.rendering_id)
                    log.info("rung_again", provider=provider, **log_fields(waiting.rendering_id))

    def _place(self, waiting: Waiting, live: Collection[str]) -> str | None:
        provider = next_provider(waiting.chain, waiting.attempts, live)
        if provider is None:
            detail = "Every provider that could speak this failed."
            self._ledger.fail(waiting.rendering_id, waiting.attempt, "synthesis_failed", detail)
        elif provider != waiting.provider:
            self._ledger.pass_on(waiting.rendering_id, waiting.attempt, provider)
        return provider
