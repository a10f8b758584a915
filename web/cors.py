"""Pages of other origins that may call the API from a browser, as the settings name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask_cors import CORS

if TYPE_CHECKING:
    from collections.abc import Collection

    from flask import Flask

# What their requests may carry beyond what the Fetch standard lets every page send, and may read likewise. No
# cookies: the dashboard's session is for its own page.
_SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-Request-Id",
)
_READ = (
    "Accept-Ranges",
    "Content-Location",
    "Content-Range",
    "ETag",
    "Location",
    "Preference-Applied",
    "Retry-After",
    "WWW-Authenticate",
    "X-Cache-Status",
    "X-Degraded",
    "X-Duration-MS",
    "X-Provider",
    "X-Request-Id",
    "X-Sample-Rate",
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_PREFLIGHT_HOLDS_S = 600


def allow_origins(app: Flask, origins: Collection[str]) -> None:
    """Let pages of these origins (`*`: of all) call the API with a key; without any, nothing happens."""
    if origins:
        CORS(
            app,
            resources=r"/api/.*",
            origins=list(origins),
            methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_READ,
            max_age=_PREFLIGHT_HOLDS_S,
            always_send=False,
            send_wildcard=True,
        )
