"""`GET /metrics`, for Prometheus, and counting what it shows of requests."""

from __future__ import annotations

import os
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from web.context import metrics

if TYPE_CHECKING:
    from shared.farm import Farm
    from web.front_metrics import FrontMetrics

blueprint = Blueprint("metrics", __name__)

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
_ASKS_FOR_SPEECH = {"speech.synthesize", "jobs.create"}


@blueprint.get("/metrics")
def show() -> Response:
    """Answer with the metrics of this front and of the whole farm."""
    return Response(metrics().exposition(), content_type=TEXT_FORMAT)


def make_metrics(farm: Farm) -> FrontMetrics:
    """Make the metrics of an app."""
    folder = None
    if farm.settings.front_processes > 1:
        folder = farm.settings.state_dir.absolute() / "metrics"
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    # prometheus_client looks for the folder when it is imported.
    from web.front_metrics import FrontMetrics  # noqa: PLC0415

    return FrontMetrics(farm, folder)


@blueprint.after_app_request
def _count(response: Response) -> Response:
    """Count the answer to a request for speech; a refusal is a miss."""
    if request.method == "POST" and request.endpoint in _ASKS_FOR_SPEECH:
        cache_status = g.get("cache_status", "MISS")
        if response.status_code < HTTPStatus.BAD_REQUEST:
            outcome = "audio" if (response.mimetype or "").startswith("audio/") else "job"
            metrics().count_answer(cache_status, outcome, time.perf_counter() - g.begun_s)
        else:
            metrics().count_refusal(cache_status, g.problem_code)
    return response
