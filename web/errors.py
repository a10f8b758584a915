"""Error class → status, one table, and the problem+json that every error becomes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog
from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from shared import errors
from web import schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

STATUS: dict[type[errors.VoicefarmError], int] = {
    errors.MalformedJson: 400,
    errors.BadRequest: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.InvalidRequest: 422,
    errors.LanguageNotSupported: 422,
    errors.NoVoiceSample: 422,
    errors.SsmlNotSupported: 422,
    errors.BadSample: 422,
    errors.RateLimited: 429,
    errors.IdempotencyMismatch: 422,
    errors.SynthesisFailed: 502,
    errors.NoProvider: 503,
    errors.QueueFull: 503,
    errors.StateUnavailable: 503,
}

# The field that a 422 without a list of its own is about.
_ABOUT: dict[type[errors.VoicefarmError], str] = {
    errors.BadSample: "audio",
    errors.IdempotencyMismatch: "Idempotency-Key",
    errors.LanguageNotSupported: "language",
}

_ACRONYMS = {"json": "JSON", "ssml": "SSML"}

# What Flask and Werkzeug raise by themselves, in the words of the API.
_HTTP_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    412: "precondition_failed",
    413: "body_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
}

_DETAILS = {
    404: "There is nothing at this address.",
    413: errors.BodyTooLarge().detail,
}

log = structlog.get_logger()


def register_errors(app: Flask) -> None:
    """Make every error of the app a problem (RFC 9457)."""
    app.register_error_handler(errors.VoicefarmError, _from_farm)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_bug)


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    fields: Sequence[errors.FieldError] | None = None,
    attempts: Sequence[errors.FailedAttempt] | None = None,
) -> Response:
    """Give an `application/problem+json` answer; the metrics count its code."""
    g.problem_code = code
    body = schemas.Problem(
        type=f"urn:voicefarm:problem:{code}",
        title=_title(code),
        status=status,
        detail=detail,
        instance=quote(request.path),
        code=code,
        errors=None if fields is None else [schemas.FieldProblem(**asdict(e)) for e in fields],
        attempts=None if attempts is None else [schemas.FailedAttempt(**asdict(a)) for a in attempts],
    )
    content_type = "application/problem+json"
    return Response(body.model_dump_json(exclude_none=True), status=status, content_type=content_type)


def _title(code: str) -> str:
    title = " ".join(_ACRONYMS.get(word, word) for word in code.split("_"))
    return title[0].upper() + title[1:]


def _from_farm(error: errors.VoicefarmError) -> Response:
    status = STATUS.get(type(error))
    if status is None:
        return _from_bug(error)
    fields = _fields(error)
    attempts = error.attempts if isinstance(error, errors.SynthesisFailed) else None
    answer = problem(status, error.code, error.detail, fields=fields, attempts=attempts)
    if isinstance(error, errors.Unavailable):
        answer.headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def _fields(error: errors.VoicefarmError) -> Sequence[errors.FieldError] | None:
    """Name what a 422 is about."""
    if isinstance(error, errors.InvalidRequest):
        return error.errors
    if isinstance(error, errors.NoVoiceSample | errors.SsmlNotSupported):
        return [errors.FieldError(error.field, error.detail)]
    field = _ABOUT.get(type(error))
    return [errors.FieldError(field, error.detail)] if field else None


def _from_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = _HTTP_CODES.get(status, "bad_request" if status < 500 else "internal_error")  # noqa: PLR2004
    answer = problem(status, code, _DETAILS.get(status) or error.description or error.name)
    answer.headers.extend(
        (name, value) for name, value in error.get_headers() if name.lower() in {"allow", "content-range"}
    )
    return answer


def _from_bug(error: Exception) -> Response:
    log.error("unexpected_error", path=request.path, exc_info=error)
    return problem(
        500, "internal_error", "Something went wrong here; the server's log has it under this request's ID."
    )
