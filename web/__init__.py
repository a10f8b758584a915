"""The front: answers from the cache at once or turns a request into a job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from flask import Flask, g, request

from shared.farm import Farm
from shared.log import configure_logging
from shared.settings import Settings
from web import (
    cache,
    dashboard,
    flower,
    health,
    jobs,
    keys,
    metrics,
    openapi,
    personalities,
    prewarm,
    providers,
    speech,
    usage,
    voices,
)
from web.cors import allow_origins
from web.errors import register_errors
from web.hit_path import HitPath
from web.requests import MAX_JSON_BYTES, sane_request_id

if TYPE_CHECKING:
    from flask import Response


def create_app(settings: Settings | None = None, farm: Farm | None = None) -> Flask:
    """Make the WSGI app; without a farm it wires one up from the settings and starts its threads."""
    if farm is None:
        settings = settings or Settings.load()
        configure_logging(settings.log_level, settings.log_format)
        farm = Farm.from_settings(settings)
        farm.start()
    app = Flask(__name__)
    # One more, because a chunked body is cut there without an error.
    app.config["MAX_CONTENT_LENGTH"] = MAX_JSON_BYTES + 1
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["voicefarm"] = farm
    app.extensions["voicefarm.metrics"] = front_metrics = metrics.make_metrics(farm)
    register_errors(app)
    api = (speech, jobs, prewarm, personalities, voices, cache, providers, usage, keys, flower)
    for part in (*api, health, metrics, openapi, dashboard):
        app.register_blueprint(part.blueprint)
    app.before_request(_begin)
    app.after_request(_label)
    allow_origins(app, farm.settings.cors_origins)
    app.wsgi_app = HitPath(app.wsgi_app, farm, front_metrics)  # type: ignore[method-assign]
    return app


def _begin() -> None:
    g.begun_s = time.perf_counter()
    g.request_id = sane_request_id(request.headers.get("X-Request-Id", ""))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _label(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
