"""The piece of a body that `Range` asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
import sys

from werkzeug.exceptions import RequestedRangeNotSatisfiable

from web.requests import bounded

# One piece, in a list that may have empty elements.
_PIECE = re.compile(r"bytes=[ \t,]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t,]*", re.IGNORECASE)


def wanted_piece(header: str, size_bytes: int) -> slice | None:
    """Give the one piece of a body of that size; None for what is not valid, not of bytes, or several pieces.

    Raises:
        RequestedRangeNotSatisfiable: nothing of it is there.
    """
    match = _PIECE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = (bounded(digits or "", sys.maxsize) for digits in match.groups())
    if first is None:
        begin, end = max(size_bytes - (suffix or 0), 0), size_bytes
    elif last is None:
        begin, end = first, size_bytes
    elif last < first:
        return None
    else:
        begin, end = first, min(last + 1, size_bytes)
    if begin >= size_bytes:
        raise RequestedRangeNotSatisfiable(size_bytes)
    return slice(begin, end)
