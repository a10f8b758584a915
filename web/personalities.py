"""The personalities that can speak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g

from shared.errors import NotFound
from shared.keys import Scope
from shared.models import UUID_PATTERN
from web import schemas
from web.auth import requires
from web.context import farm
from web.requests import page_of
from web.responses import as_json, timestamp

if TYPE_CHECKING:
    from shared.personalities import Personality

blueprint = Blueprint("personalities", __name__)


@blueprint.get("/api/voice/personalities")
@requires(Scope.SPEAK)
def index() -> Response:
    """Answer with the personalities, by name."""
    items, next_cursor = page_of(farm().personalities.list(), lambda personality: personality.name)
    return as_json(schemas.Personalities(items=[describe(item) for item in items], next_cursor=next_cursor))


@blueprint.get("/api/voice/personalities/<personality_id>")
@requires(Scope.SPEAK)
def show(personality_id: str) -> Response:
    """Answer with one of them."""
    if not UUID_PATTERN.fullmatch(personality_id):
        raise NotFound(f"There is no personality {personality_id}.")
    return as_json(describe(farm().directory.personality(g.epoch, personality_id.lower())))


def describe(personality: Personality) -> schemas.Personality:
    """Give a personality as the API shows it."""
    return schemas.Personality(
        id=personality.id,
        name=personality.name,
        personality_name=personality.personality_name,
        is_active=personality.is_active,
        is_default=personality.is_default,
        language=personality.language,
        voice_config=personality.voice_config,
        voice_revision=personality.voice_revision,
        created_at=timestamp(personality.created_at),
        updated_at=timestamp(personality.updated_at),
    )
