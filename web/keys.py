"""API keys: made, listed and revoked by the admin. A secret is told once, in the answer that makes it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Self

from flask import Blueprint, Response, g
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from shared.database import utc_now
from shared.errors import Conflict, FieldError, InvalidRequest, NotFound
from shared.models import UUID_PATTERN, check_printable, field_errors
from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.pages import asked_place, cursor_at, page_limit
from web.requests import json_body
from web.responses import as_json, timestamp

if TYPE_CHECKING:
    from shared.keys import KeyRecord

blueprint = Blueprint("keys", __name__)

_RFC_3339 = re.compile(
    r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)


def _parse_time(value: object) -> datetime:
    try:
        if isinstance(value, str) and _RFC_3339.fullmatch(value):
            time = datetime.fromisoformat(value.upper()).astimezone(UTC)
            return time.replace(microsecond=time.microsecond // 1000 * 1000)  # as it is shown
    except (ValueError, OverflowError) as error:
        raise ValueError("is no time that there is") from error
    raise ValueError("must be an RFC 3339 time with its offset, such as 2030-01-31T12:00:00Z")


def _check_future(time: datetime) -> datetime:
    if time <= utc_now():
        raise ValueError("must be in the future")
    return time


_Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100),
    AfterValidator(check_printable),
]


class KeyRequest(BaseModel):
    """What a new key is to be called and to allow, and if wanted until when."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: _Name | None = None
    """What it is for; the scope when left out."""
    scope: Annotated[Scope, Field(strict=False)]
    expires_at: Annotated[datetime, BeforeValidator(_parse_time), AfterValidator(_check_future)] | None = None

    @classmethod
    def parse(cls, body: object) -> Self:
        """Check a decoded JSON body.

        Raises:
            InvalidRequest: with one entry for every field that cannot be used.
        """
        if not isinstance(body, dict):
            raise InvalidRequest([FieldError("", "the body must be a JSON object")])
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise InvalidRequest(field_errors(error)) from error


@blueprint.post("/api/voice/keys")
@requires(Scope.ADMIN)
def create() -> Response:
    """Make a key; its secret is in this answer and nowhere else."""
    asked = KeyRequest.parse(json_body())
    key, secret = farm().keys.create(asked.scope, asked.name or asked.scope, asked.expires_at)
    response = as_json(schemas.NewKey(**describe(key).model_dump(), secret=secret), status=201)
    response.headers["Location"] = f"/api/voice/keys/{key.id}"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/api/voice/keys")
@requires(Scope.ADMIN)
def index() -> Response:
    """Answer with the keys, the newest first, without their secrets."""
    limit = page_limit()
    found = farm().keys.list(limit=limit + 1, after_id=asked_place(UUID_PATTERN))
    page = found[:limit]
    next_cursor = cursor_at(page[-1].id) if len(found) > limit else None
    return as_json(schemas.Keys(items=[describe(key) for key in page], next_cursor=next_cursor))


@blueprint.get("/api/voice/keys/<key_id>")
@requires(Scope.ADMIN)
def show(key_id: str) -> Response:
    """Answer with one of them."""
    return as_json(describe(farm().keys.get(_checked(key_id))))


@blueprint.delete("/api/voice/keys/<key_id>")
@requires(Scope.ADMIN)
def revoke(key_id: str) -> Response:
    """Make a key useless at once and for ever; the answer tells since when. Again is no error."""
    key_id = _checked(key_id)
    if key_id == g.caller.id:
        raise Conflict("This is the key that you ask with; revoke it with another one.")
    return as_json(describe(farm().keys.revoke(key_id)))


def _checked(key_id: str) -> str:
    if not UUID_PATTERN.fullmatch(key_id):
        raise NotFound(f"There is no API key {key_id}.")
    return key_id.lower()


def describe(key: KeyRecord) -> schemas.Key:
    """Give a key as the API shows it."""
    return schemas.Key(
        id=key.id,
        name=key.name,
        scope=key.scope,
        prefix=key.prefix,
        created_at=timestamp(key.created_at),
        expires_at=key.expires_at and timestamp(key.expires_at),
        last_used_at=key.last_used_at and timestamp(key.last_used_at),
        revoked_at=key.revoked_at and timestamp(key.revoked_at),
    )
