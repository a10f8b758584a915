"""The page at `/`, and the exchange of its one-time code for a session cookie."""

from __future__ import annotations

import secrets
from contextlib import suppress

from flask import Blueprint, Response, make_response, redirect, render_template, request

from shared import sessions
from shared.catalog import CATALOG
from shared.errors import StateUnavailable
from shared.ledger import Status
from shared.models import PITCH_RANGE_SEMITONES, SPEED_RANGE, AudioFormat, Quality, SpeechRequest
from shared.prewarm import MAX_ITEMS
from shared.samples.records import MAX_DURATION_S, MAX_UPLOAD_BYTES, MIN_DURATION_S
from shared.voices import Gender
from web.auth import cookie_name
from web.context import farm
from web.requests import MAX_JSON_BYTES

blueprint = Blueprint("dashboard", __name__)

# Everything the page is made of lies beside it, as does the recorder's worklet; what it plays is a blob of
# its own. The nonce is for the one sheet that a library writes, wavesurfer's.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


@blueprint.get("/")
def index() -> Response:
    """Answer with the page; with `?code=` exchange the code first.

    The page holds no data, so anybody may have it; without a session it finds out from the API and says so.
    """
    code = request.args.get("code")
    if code is not None and request.method == "GET":  # a HEAD, as link checkers send it, must not use it up
        with suppress(StateUnavailable):  # then the page says so, and loading it again tries the code again
            return _open_session(code)
    nonce = _new_nonce()
    page = render_template(
        "index.html",
        nonce=nonce,
        max_text_chars=farm().settings.max_text_chars,
        qualities=list(Quality),
        default_quality=SpeechRequest.model_fields["quality"].default,
        formats=list(AudioFormat),
        default_format=SpeechRequest.model_fields["format"].default,
        provider_titles={name: spec.title for name, spec in CATALOG.items()},
        cloners=[name for name, spec in CATALOG.items() if spec.clones],
        genders=list(Gender),
        job_statuses=list(Status),
        speed_range=SPEED_RANGE,
        pitch_range=PITCH_RANGE_SEMITONES,
        sample_seconds=(MIN_DURATION_S, MAX_DURATION_S),
        max_upload_bytes=MAX_UPLOAD_BYTES,
        max_batch_items=MAX_ITEMS,
        max_json_bytes=MAX_JSON_BYTES,
        keeps_suggestions=farm().settings.suggestions,
    )
    return _protected(make_response(page), nonce)


def _open_session(code: str) -> Response:
    """Set the cookie, if the code is good, and take the code out of the address."""
    token = sessions.exchange(farm().state, code)
    if token is None:
        # The page ignores the fragment when the browser has a session from before.
        return _protected(make_response(redirect("/#code-used")), _new_nonce())
    response = make_response(redirect("/"))
    response.set_cookie(
        cookie_name(),
        token,
        max_age=sessions.SESSION_TTL_S,
        httponly=True,
        samesite="Strict",
        secure=request.is_secure,
    )
    return _protected(response, _new_nonce())


def _new_nonce() -> str:
    """Make one; 128 bits, as the Content Security Policy (level 3, 7.1) wants."""
    return secrets.token_urlsafe(16)


def _protected(response: Response, nonce: str) -> Response:
    response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce)
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response
