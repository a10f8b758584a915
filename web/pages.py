"""Pages of lists: `limit` and `cursor` in, `next_cursor` out.

A cursor is sealed to its list, so that nothing else, not even another list's cursor, is taken for one.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from flask import request

from shared.errors import FieldError, InvalidRequest
from web.requests import bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_SEAL_BYTES = 6
_ANY = re.compile(r".*", re.DOTALL)


def page_limit() -> int:
    """Give how many items a page of a list may have.

    Raises:
        InvalidRequest: `limit` is not a number from 1 to 200.
    """
    limit = bounded(request.args.get("limit", str(DEFAULT_LIMIT)), MAX_LIMIT + 1)
    if limit is None or not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest([FieldError("limit", f"must be a whole number from 1 to {MAX_LIMIT}")])
    return limit


def cursor_at(place: str) -> str:
    """Give the cursor by which this list goes on after a place in it."""
    seal = sha256(f"{request.path} {place}".encode()).digest()[:_SEAL_BYTES]
    return urlsafe_b64encode(seal + place.encode()).rstrip(b"=").decode()


def asked_place(pattern: re.Pattern[str] = _ANY) -> str | None:
    """Give the place after which this list is to go on; None for its beginning.

    Raises:
        InvalidRequest: `cursor` is none that this list gave; its places are like `pattern`.
    """
    cursor = request.args.get("cursor")
    if not cursor:
        return None
    try:
        place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[_SEAL_BYTES:].decode()
    except ValueError as error:
        raise _foreign_cursor() from error
    if cursor_at(place) != cursor or not pattern.fullmatch(place):
        raise _foreign_cursor()
    return place


def page_of(items: Sequence[T], name_of: Callable[[T], str], *, of: str) -> tuple[Sequence[T], str | None]:
    """Give the page of a list, sorted by name, that `limit` and `cursor` ask for, and the next one's cursor.

    `of` tells this list from others at the same address.

    Raises:
        InvalidRequest: `limit` or `cursor` cannot be used.
    """
    limit, place = page_limit(), asked_place(re.compile(f"{re.escape(of)}\n.*", re.DOTALL))
    rest = items if place is None else [item for item in items if f"{of}\n{name_of(item)}" > place]
    found = rest[:limit]
    return found, cursor_at(f"{of}\n{name_of(found[-1])}") if len(rest) > len(found) else None


def _foreign_cursor() -> InvalidRequest:
    return InvalidRequest([FieldError("cursor", "must be the next_cursor of another page of this list")])
