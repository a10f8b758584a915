"""Reading requests: speech and other JSON, `Prefer: wait`, idempotency keys, request IDs."""

from __future__ import annotations

import json
import math
import re
import uuid

from flask import request
from werkzeug.http import parse_list_header

from shared.errors import BodyTooLarge, FieldError, InvalidRequest, MalformedJson, UnsupportedMediaType
from shared.models import SpeechRequest
from web.context import farm

MAX_JSON_BYTES = 1024 * 1024
MAX_WAIT_S = 120
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DIGITS = re.compile(r"[0-9]+")
# A JSON number with more digits is beyond every bound, and would be beyond Python's own.
_MAX_DIGITS = 400


def speech_request() -> SpeechRequest:
    """Give what the body asks to be spoken.

    Raises what `json_body` and `SpeechRequest.parse` raise.
    """
    settings = farm().settings
    return SpeechRequest.parse(
        json_body(), providers=farm().router.names, max_text_chars=settings.max_text_chars
    )


def idempotency_key() -> str | None:
    """Give the caller's `Idempotency-Key`; None without one.

    Raises:
        InvalidRequest: it is empty, too long, or not of visible ASCII characters.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest([FieldError("Idempotency-Key", "must be 1 to 255 visible ASCII characters")])
    return key


def json_body() -> object:
    """Decode the body.

    NaN and infinities pass here, as Python's decoder has it; the models refuse them by field.

    Raises:
        UnsupportedMediaType: it is not declared as JSON, or is compressed.
        MalformedJson: it is none.
        BodyTooLarge: it is larger than `MAX_JSON_BYTES`.
    """
    if request.mimetype != "application/json" and not request.mimetype.endswith("+json"):
        raise UnsupportedMediaType
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body as it is, without a Content-Encoding.")
    body = request.get_data()
    if len(body) > MAX_JSON_BYTES:
        raise BodyTooLarge
    try:
        return json.loads(
            body, parse_int=lambda digits: int(digits) if len(digits) <= _MAX_DIGITS else math.inf
        )
    except (ValueError, RecursionError) as error:
        raise MalformedJson(f"The body is not valid JSON: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it breaks at line {error.lineno}, column {error.colno}"
    return (
        "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else "it is nested too deep or too large"
    )


def preferred_wait_s() -> int | None:
    """Give the seconds of `Prefer: wait=N` (RFC 7240), at most `MAX_WAIT_S`; None without a valid one."""
    for preference in parse_list_header(request.headers.get("Prefer", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            return bounded(value.strip().strip('"'), MAX_WAIT_S)
    return None


def queried_wait_s() -> int | None:
    """Give the seconds of `?wait=N`, at most `MAX_WAIT_S`; None without it.

    Raises:
        InvalidRequest: it is not a whole number of seconds.
    """
    value = request.args.get("wait")
    if value is None:
        return None
    seconds = bounded(value, MAX_WAIT_S)
    if seconds is None:
        raise InvalidRequest([FieldError("wait", "must be a whole number of seconds, 0 or more")])
    return seconds


def bounded(digits: str, most: int) -> int | None:
    """Give a whole number, at most `most`, however many digits it has; None when it is none."""
    if not _DIGITS.fullmatch(digits):
        return None
    return most if len(digits.lstrip("0")) > len(str(most)) else min(int(digits), most)


def sane_request_id(given: str) -> str:
    """Give the caller's request ID when it is sane, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
