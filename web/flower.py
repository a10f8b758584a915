"""`/api/voice/flower`: where admins find Flower, and what they sign in with."""

from __future__ import annotations

from flask import Blueprint, Response

from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.responses import as_json

blueprint = Blueprint("flower", __name__)


@blueprint.get("/api/voice/flower")
@requires(Scope.ADMIN)
def show() -> Response:
    """Answer with Flower's address, user and password, as far as they are known here; nobody may keep it."""
    settings = farm().settings
    user = password = None
    if settings.flower_url and settings.flower_sign_in:
        # Flower takes several, with commas between them.
        first, _, _ = settings.flower_sign_in.get_secret_value().partition(",")
        user, _, password = first.partition(":")
    response = as_json(schemas.Flower(url=settings.flower_url, user=user, password=password))
    response.headers["Cache-Control"] = "no-store"
    return response
