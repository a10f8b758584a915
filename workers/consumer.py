"""Celery's consumer, whose events for Flower hold up no rendering."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer as CeleryConsumer

# Flower's own page looks at what has come every few seconds.
EVENTS_AFTER_S = 0.2


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Sends the tasks' events together, a moment later.

    Celery sends each before its loop goes on, the first one before the task is handed to its process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_flush_due = False

    def on_send_event_buffered(self) -> None:
        """See to it that what is buffered is sent."""
        if self.hub and not self._is_flush_due:
            self._is_flush_due = True
            self.hub.call_later(EVENTS_AFTER_S, self._flush_soon)

    def _flush_soon(self) -> None:
        self._is_flush_due = False
        self._flush_events()
