"""The farm of the app that serves this request."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from shared.farm import Farm


def farm() -> Farm:
    """Give it."""
    return cast("Farm", current_app.extensions["voicefarm"])
