"""The query parameters of lists and of what makes things: described here, and all others refused."""

from __future__ import annotations

from typing import Any

from flask import request

from shared.cache.history import DEFAULT_HOURS, MAX_HOURS
from shared.dimensions import Dimension
from shared.errors import FieldError, InvalidRequest
from shared.ledger import Status
from web.pages import DEFAULT_LIMIT, MAX_LIMIT
from web.requests import MAX_WAIT_S


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_PAGE = (
    _parameter(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "How many at most.",
    ),
    _parameter("cursor", {"type": "string"}, "The `next_cursor` of the page before."),
)

_ONE_PROVIDER = (
    _parameter("provider", {"type": "string"}, "Only this one. Default: all that clone voices."),
)

_DAY = {"type": "string", "format": "date"}

# By endpoint, as OpenAPI has it.
PARAMETERS: dict[str, tuple[dict[str, Any], ...]] = {
    "speech.synthesize": (
        _parameter(
            "wait",
            {"type": "integer", "minimum": 0},
            f"Seconds to wait; above {MAX_WAIT_S} counts as {MAX_WAIT_S}.",
        ),
    ),
    "jobs.create": (),
    "jobs.index": (
        _parameter("status", {"enum": list(Status)}, "Only jobs in this state."),
        _parameter("personality_id", {"type": "string", "format": "uuid"}, "Only jobs of this personality."),
        *_PAGE,
    ),
    "prewarm.create": (),
    "prewarm.suggestions": _PAGE[:1],
    "prewarm.index": _PAGE,
    "personalities.create": (),
    "personalities.index": _PAGE,
    "cache.history": (
        _parameter(
            "hours",
            {"type": "integer", "minimum": 1, "maximum": MAX_HOURS, "default": DEFAULT_HOURS},
            "How far back; the further, the longer the steps.",
        ),
    ),
    "usage.index": (
        _parameter("from", _DAY, "The first day, by UTC. Default: the first of `to`'s month."),
        _parameter("to", _DAY, "The last day, which counts, too. Default: today."),
        _parameter(
            "group_by",
            {"type": "array", "items": {"enum": list(Dimension)}, "default": [Dimension.PROVIDER]},
            "What the sums are of, repeated or with commas.",
        ),
        _parameter("provider", {"type": "string"}, "Only this provider's syntheses."),
        _parameter("personality_id", {"type": "string", "format": "uuid"}, "Only this personality's."),
        *_PAGE,
    ),
    "voices.held": _ONE_PROVIDER,
    "voices.load": _ONE_PROVIDER,
    "voices.unload": _ONE_PROVIDER,
    "keys.create": (),
    "keys.index": _PAGE,
}


def check_query() -> None:
    """Return if the request's address has no parameter that would be ignored; other addresses may have any.

    Raises:
        InvalidRequest: with an entry for each that is not known here, or is there twice and no list.
    """
    described = PARAMETERS.get(request.endpoint or "")
    if described is None:
        return
    known = [parameter["name"] for parameter in described]
    if unknown := sorted(request.args.keys() - set(known)):
        there_are = f"there are {', '.join(known)}" if known else "this address takes none"
        raise InvalidRequest([FieldError(name, f"is no parameter here; {there_are}") for name in unknown])
    lists = {each["name"] for each in described if each["schema"].get("type") == "array"}
    if repeated := [name for name, values in request.args.lists() if len(values) > 1 and name not in lists]:
        raise InvalidRequest([FieldError(name, "must be given once only") for name in repeated])
