"""`/healthz`, `/readyz`: is the process alive, can it serve."""

from __future__ import annotations

from flask import Blueprint, Response

from shared.health import examine
from web.context import farm
from web.responses import as_json
from web.schemas import Health, Readiness

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Answer that the process lives."""
    return as_json(Health())


@blueprint.get("/readyz")
def readyz() -> Response:
    """Answer 200 when Redis, the database and at least one worker are there, else 503 with reasons."""
    reasons = [str(finding) for finding in examine(farm()) if finding.problem]
    if not reasons:
        return as_json(Readiness(status="ready", reasons=[]))
    response = as_json(Readiness(status="unavailable", reasons=reasons), status=503)
    response.headers["Retry-After"] = "1"
    return response
