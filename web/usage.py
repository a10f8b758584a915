"""What syntheses used and cost, added up by provider, personality and day."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from shared.database import utc_now
from shared.dimensions import Dimension
from shared.errors import FieldError, InvalidRequest
from shared.models import UUID_PATTERN
from shared.scopes import Scope
from shared.usage import UsageSum, add_up
from web import schemas
from web.auth import requires
from web.context import farm
from web.pages import page_of
from web.responses import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

blueprint = Blueprint("usage", __name__)

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@blueprint.get("/api/voice/usage")
@requires(Scope.MANAGE)
def index() -> Response:
    """Answer with what was used from one day to another, this month by default, and with the total."""
    first, last = _wanted_days()
    by = _wanted_dimensions()
    provider, personality_id = _wanted_provider(), _wanted_personality()
    found = farm().usage.sums(first, last, by, provider=provider, personality_id=personality_id)
    page, next_cursor = page_of(found, _name, of=" ".join(sorted(by)))
    return as_json(
        schemas.UsagePage(
            items=[schemas.Usage(**_of(each), **_amounts(each)) for each in page],
            next_cursor=next_cursor,
            total=schemas.UsageAmounts(**_amounts(_total(found))),
        )
    )


def _wanted_days() -> tuple[date, date]:
    first, last = _wanted_day("from"), _wanted_day("to")
    today = utc_now().date()
    if first is None:
        first = (last or today).replace(day=1)
    if last is None:
        last = max(first, today)
    if last < first:
        raise InvalidRequest([FieldError("to", "must not be before from")])
    return first, last


def _wanted_day(name: str) -> date | None:
    day = request.args.get(name)
    if day is None:
        return None
    try:
        if _DAY.fullmatch(day):
            return date.fromisoformat(day)
    except ValueError as error:
        raise InvalidRequest([FieldError(name, "is no day that there is")]) from error
    raise InvalidRequest([FieldError(name, "must be a day such as 2030-01-31")])


def _wanted_dimensions() -> frozenset[Dimension]:
    asked = [name for value in request.args.getlist("group_by") for name in value.split(",")]
    if not set(asked) <= set(Dimension):
        raise InvalidRequest(
            [FieldError("group_by", f"must be of {', '.join(Dimension)}, with commas between them")]
        )
    return frozenset(map(Dimension, asked)) or frozenset({Dimension.PROVIDER})


def _wanted_provider() -> str | None:
    provider = request.args.get("provider")
    names = sorted(farm().router.names)
    if provider is not None and provider not in names:
        raise InvalidRequest([FieldError("provider", f"must be one of {', '.join(names)}")])
    return provider


def _wanted_personality() -> str | None:
    personality_id = request.args.get("personality_id")
    if personality_id is not None and not UUID_PATTERN.fullmatch(personality_id):
        raise InvalidRequest([FieldError("personality_id", "must be a UUID")])
    return personality_id and personality_id.lower()


def _name(each: UsageSum) -> str:
    """Name a sum by what it is of, in the order that they come in."""
    return " ".join(str(part) for part in (each.day, each.provider, each.personality_id))


def _total(sums: Sequence[UsageSum]) -> UsageSum:
    return next(iter(add_up(sums, ())), UsageSum())


def _of(each: UsageSum) -> dict[str, str | None]:
    day = each.day.isoformat() if each.day else None
    return {"provider": each.provider, "personality_id": each.personality_id, "day": day}


def _amounts(each: UsageSum) -> dict[str, float]:
    return {
        "syntheses": each.syntheses,
        "characters": each.characters,
        "audio_seconds": each.audio_ms / 1000,
        "compute_seconds": each.compute_ms / 1000,
        "cost_usd": float(each.cost_usd),
    }
