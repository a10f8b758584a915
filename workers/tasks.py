"""The farm's one task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from shared.doorbell import TASK
from workers.app import app

if TYPE_CHECKING:
    from workers.renderer import Renderer


@app.task(name=TASK, bind=True)  # type: ignore[untyped-decorator]
def render(self: Any, rendering_id: str) -> None:
    """Make the audio of one rendering; the message is only a doorbell, the ledger says what is to be done."""
    renderer: Renderer = self.app.renderer
    with structlog.contextvars.bound_contextvars(provider=renderer.name, rendering=rendering_id[:12]):
        renderer.render(rendering_id)
