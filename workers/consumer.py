"""Celery's consumer, whose events for Flower hold up no rendering, and which outlasts its connections."""

from __future__ import annotations

from typing import Any, cast

from celery.worker.consumer import Consumer as CeleryConsumer

# Flower's own page looks at what has come every few seconds.
EVENTS_AFTER_S = 0.2


class Consumer(CeleryConsumer):  # type: ignore[misc]
    """Sends the tasks' events together, a moment later, and watches every process of its pool.

    Celery sends each before its loop goes on, the first one before the task is handed to its process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_flush_due = False

    def loop_args(self) -> tuple[Any, ...]:
        """Give what its loop begins with, the first time and after every loss of the connection."""
        # Where processes end in quick succession, Celery leaves a new one unwatched, with None for its
        # descriptor, and then cannot begin its loop again: asynpool._track_child_process.
        for process in getattr(getattr(self.pool, "_pool", None), "_pool", ()):
            if getattr(process, "_sentinel_poll", self) is None:
                del process._sentinel_poll  # noqa: SLF001  Celery has no other way
        return cast("tuple[Any, ...]", super().loop_args())

    def on_send_event_buffered(self) -> None:
        """See to it that what is buffered is sent."""
        if self.hub and not self._is_flush_due:
            self._is_flush_due = True
            self.hub.call_later(EVENTS_AFTER_S, self._flush_soon)

    def _flush_soon(self) -> None:
        self._is_flush_due = False
        self._flush_events()
