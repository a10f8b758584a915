"""What a request carries: the farm of its app and its metrics, and what the hit path is to know of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from shared.farm import Farm
    from web.front_metrics import FrontMetrics

EPOCH = "voicefarm.epoch"
"""Where the app puts the request's epoch in the WSGI environment."""
HIT = "voicefarm.hit"
"""Where it puts the `CachedAudio` that it answers with."""


def farm() -> Farm:
    """Give the farm."""
    return cast("Farm", current_app.extensions["voicefarm"])


def metrics() -> FrontMetrics:
    """Give what counts its requests."""
    return cast("FrontMetrics", current_app.extensions["voicefarm.metrics"])
