"""Jobs: what became of a request that was not answered from the cache."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g

from shared.errors import Conflict, NotFound
from shared.farm import MAX_RETRY_AFTER_S
from shared.keys import Scope
from shared.models import UUID_PATTERN, AudioFormat
from web import schemas
from web.auth import requires
from web.context import farm
from web.responses import as_json, job_audio, job_audio_url, timestamp_ms

if TYPE_CHECKING:
    from shared.ledger import Job, Result

blueprint = Blueprint("jobs", __name__)

CACHE_STATUS: dict[str, schemas.CacheStatus] = {"new": "MISS", "joined": "COALESCED", "done": "COALESCED"}


@blueprint.get("/api/voice/jobs/<job_id>")
@requires(Scope.SPEAK)
def show(job_id: str) -> Response:
    """Answer with the job as it stands now."""
    return as_json(describe(_job(job_id)))


@blueprint.get("/api/voice/jobs/<job_id>/audio")
@requires(Scope.SPEAK)
def audio(job_id: str) -> Response:
    """Answer with the job's audio, cached or not, for as long as the job is kept."""
    job = _job(job_id)
    if job.result is None:
        raise Conflict(f"The job {job.id} is {job.status}; it has no audio.")
    return job_audio(job.id, job.result, farm().audio(job))


def _job(job_id: str) -> Job:
    if not UUID_PATTERN.fullmatch(job_id):
        raise NotFound(f"There is no job {job_id}.")
    return farm().job(job_id.lower(), caller=g.caller)


def accepted(job: Job) -> Response:
    """Answer 202: where the job is, and when to ask for it."""
    body = describe(job)
    response = as_json(body, status=202)
    response.headers["Location"] = f"/api/voice/jobs/{job.id}"
    eta_seconds = body.queue.eta_seconds if body.queue else 0
    response.headers["Retry-After"] = str(min(max(math.ceil(eta_seconds), 1), MAX_RETRY_AFTER_S))
    return response


def describe(job: Job) -> schemas.Job:
    """Give a job as the API shows it."""
    return schemas.Job(
        id=job.id,
        status=job.status,
        created_at=timestamp_ms(job.created_ms),
        started_at=job.started_ms and timestamp_ms(job.started_ms),
        finished_at=job.finished_ms and timestamp_ms(job.finished_ms),
        request=schemas.Asked(**job.request.model_dump(exclude={"stream"})),
        cache_status=CACHE_STATUS[job.how],
        provider=job.provider,
        attempts=[schemas.Attempt(**asdict(attempt)) for attempt in job.attempts],
        queue=_describe_queue(job),
        degraded=job.result.degraded if job.result else False,
        audio=_describe_audio(job.id, job.result) if job.result else None,
        error=schemas.JobError(**asdict(job.error)) if job.error else None,
    )


def _describe_queue(job: Job) -> schemas.Queue | None:
    if job.queue is None or job.position is None:
        return None
    eta_seconds = farm().presence.eta_seconds(job.queue, job.position)
    return schemas.Queue(name=job.queue, position=job.position, eta_seconds=eta_seconds)


def _describe_audio(job_id: str, result: Result) -> schemas.JobAudio:
    return schemas.JobAudio(
        url=job_audio_url(job_id, result),
        format=AudioFormat(result.format),
        bytes=result.size_bytes,
        duration_ms=result.duration_ms,
        sample_rate=result.sample_rate,
    )
