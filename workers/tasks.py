"""The farm's one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from shared.doorbell import TASK
from shared.ledger import log_fields
from workers.app import app

if TYPE_CHECKING:
    from workers.renderer import Renderer


@app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
def render(self: Any, rendering_id: str) -> None:
    """Make the audio of one rendering; the message is only a doorbell, the ledger says what is to be done."""
    renderer: Renderer = self.app.renderer
    # Not taken off at the end: Celery logs an error of the task after that.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(provider=renderer.name, **log_fields(rendering_id))
    renderer.render(rendering_id)
