"""The farm's tasks: to make audio, and to keep the cache warm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from shared import clock
from shared.doorbell import TASK
from shared.errors import VoicefarmError
from shared.ledger import log_fields
from workers.app import app

if TYPE_CHECKING:
    from shared.prewarm import Rewarmer
    from workers.renderer import Renderer


log = structlog.get_logger()


@app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
def render(self: Any, rendering_id: str) -> None:
    """Make the audio of one rendering; the message is only a doorbell, the ledger says what is to be done."""
    renderer: Renderer = self.app.renderer
    # Not taken off at the end: Celery logs an error of the task after that.
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(provider=renderer.name, **log_fields(rendering_id))
    renderer.render(rendering_id)


@app.task(name=clock.TASK, bind=True)  # type: ignore[untyped-decorator]
def rewarm(self: Any) -> None:
    """Do what a period has to do for the cache; what fails is for the next one."""
    rewarmer: Rewarmer = self.app.rewarmer
    structlog.contextvars.clear_contextvars()
    try:
        rewarmer.once()
    except VoicefarmError as error:
        log.warning("rewarming_failed", code=error.code, detail=error.detail)
