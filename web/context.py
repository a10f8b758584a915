"""The farm of the app that serves this request, and its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from shared.farm import Farm
    from web.front_metrics import FrontMetrics


def farm() -> Farm:
    """Give it."""
    return cast("Farm", current_app.extensions["voicefarm"])


def metrics() -> FrontMetrics:
    """Give what counts its requests."""
    return cast("FrontMetrics", current_app.extensions["voicefarm.metrics"])
