"""Who can speak: listed, made, changed, deleted."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from shared.errors import NotFound, PreconditionFailed
from shared.models import UUID_PATTERN
from shared.profiles import Profile
from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.pages import page_of
from web.requests import json_body
from web.responses import as_json, nothing, timestamp

if TYPE_CHECKING:
    from shared.personalities import Personality

blueprint = Blueprint("personalities", __name__)


@blueprint.get("/api/voice/personalities")
@requires(Scope.SPEAK)
def index() -> Response:
    """Answer with the personalities, by name."""
    items, next_cursor = page_of(farm().personalities.list(), lambda personality: personality.name, of="")
    return as_json(schemas.Personalities(items=[describe(item) for item in items], next_cursor=next_cursor))


@blueprint.post("/api/voice/personalities")
@requires(Scope.MANAGE)
def create() -> Response:
    """Make a personality; as the new default it takes the place of the one before."""
    personality = Profile.parse(json_body(), providers=farm().router.names).new()
    farm().personalities.add(personality)
    response = _shown(personality, status=201)
    response.headers["Location"] = f"/api/voice/personalities/{personality.id}"
    return response


@blueprint.get("/api/voice/personalities/<personality_id>")
@requires(Scope.SPEAK)
def show(personality_id: str) -> Response:
    """Answer with one of them."""
    return _shown(farm().directory.personality(g.epoch, checked(personality_id)))


@blueprint.patch("/api/voice/personalities/<personality_id>")
@requires(Scope.MANAGE)
def change(personality_id: str) -> Response:
    """Change one by a JSON merge patch (RFC 7396): what it names, and nothing else.

    Patches of one personality are applied one after the other; with `If-Match` only to what the caller read.
    """
    patch = json_body()

    def edit(before: Personality) -> Personality:
        _check_if_match(before)
        return Profile.parse_patch(patch, before, providers=farm().router.names).of(before)

    return _shown(farm().roster.change(checked(personality_id), edit))


@blueprint.delete("/api/voice/personalities/<personality_id>")
@requires(Scope.MANAGE)
def remove(personality_id: str) -> Response:
    """Delete one with its voice sample and its cached audio; jobs keep what they have."""
    farm().roster.remove(checked(personality_id), _check_if_match)
    return nothing()


def checked(personality_id: str) -> str:
    """Give an ID in the spelling of the table.

    Raises:
        NotFound: it is none.
    """
    if not UUID_PATTERN.fullmatch(personality_id):
        raise NotFound(f"There is no personality {personality_id}.")
    return personality_id.lower()


def _check_if_match(personality: Personality) -> None:
    if "If-Match" in request.headers and not request.if_match.contains(_etag(describe(personality))):
        raise PreconditionFailed(f"{personality.name} has changed since you read it; read it again.")


def _shown(personality: Personality, *, status: int = 200) -> Response:
    body = describe(personality)
    response = as_json(body, status=status)
    response.set_etag(_etag(body))
    return response


def _etag(body: schemas.Personality) -> str:
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32]


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
