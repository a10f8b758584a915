"""Jobs: what was asked for, what became of it, and what is still becoming of it."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, g, request

from shared.errors import Conflict, FieldError, InvalidRequest, NotFound, VoicefarmError, retry_after_s
from shared.ledger import Status
from shared.models import UUID_PATTERN, AudioFormat
from shared.scopes import Scope
from web import schemas
from web.auth import requires
from web.context import farm
from web.pages import asked_place, cursor_at, page_limit
from web.requests import idempotency_key, speech_request
from web.responses import as_json, job_audio, job_audio_url, nothing, timestamp_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.ledger import Job, Result

blueprint = Blueprint("jobs", __name__)

CACHE_STATUS: dict[str, schemas.CacheStatus] = {
    "hit": "HIT", "new": "MISS", "joined": "COALESCED", "done": "COALESCED",
}  # fmt: skip
EVENTS = "text/event-stream"
KEEP_ALIVE_S = 15.0
_PLACE = re.compile(r"[0-9]{1,16}")

log = structlog.get_logger()


@blueprint.post("/api/voice/jobs")
@requires(Scope.SPEAK, to_be_spoken=True)
def create() -> Response:
    """Answer with a job: one that has succeeded already when the cache holds the audio."""
    key = idempotency_key()
    job, is_new = farm().order(
        speech_request(), caller=g.caller, epoch=g.epoch, roll_call=g.roll_call, idempotency_key=key
    )
    g.cache_status = CACHE_STATUS[job.how]
    # New work is accepted, however quickly it may have been done since.
    return accepted(job) if is_new or not job.status.has_ended else _located(_shown(job))


@blueprint.get("/api/voice/jobs")
@requires(Scope.SPEAK)
def index() -> Response:
    """Answer with the caller's jobs, an admin's with everyone's, newest first.

    A page may hold fewer than `limit` jobs, even none, and have a `next_cursor`: a filter looks at some
    thousand jobs a page.
    """
    place = asked_place(_PLACE)
    jobs, before = farm().jobs.page(
        caller=g.caller,
        limit=page_limit(),
        before=None if place is None else int(place),
        status=_wanted_status(),
        personality_id=_wanted_personality(),
    )
    pace_seconds = cache(farm().presence.pace_seconds)
    items = [describe(job, pace_seconds) for job in jobs]
    return as_json(schemas.Jobs(items=items, next_cursor=None if before is None else cursor_at(str(before))))


def _wanted_status() -> Status | None:
    status = request.args.get("status")
    if status is None:
        return None
    if status not in set(Status):
        raise InvalidRequest([FieldError("status", f"must be one of {', '.join(Status)}")])
    return Status(status)


def _wanted_personality() -> str | None:
    personality_id = request.args.get("personality_id")
    if personality_id is not None and not UUID_PATTERN.fullmatch(personality_id):
        raise InvalidRequest([FieldError("personality_id", "must be a UUID")])
    return personality_id and personality_id.lower()


@blueprint.get("/api/voice/jobs/<job_id>")
@requires(Scope.SPEAK)
def show(job_id: str) -> Response:
    """Answer with the job as it stands now."""
    return as_json(_shown(_job(job_id)))


@blueprint.get("/api/voice/jobs/<job_id>/audio")
@requires(Scope.SPEAK)
def audio(job_id: str) -> Response:
    """Answer with the job's audio, cached or not, for as long as the job is kept."""
    job = _job(job_id)
    if job.result is None:
        raise Conflict(f"The job {job.id} is {job.status}; it has no audio.")
    return job_audio(job.id, job.result, farm().jobs.audio(job))


@blueprint.delete("/api/voice/jobs/<job_id>")
@requires(Scope.SPEAK)
def cancel(job_id: str) -> Response:
    """Cancel the job; a synthesis that no other job shares does not run, or stops."""
    return as_json(_shown(farm().jobs.cancel(_checked(job_id), caller=g.caller)))


@blueprint.get("/api/voice/jobs/<job_id>/events")
@requires(Scope.SPEAK)
def events(job_id: str) -> Response:
    """Answer with the job whenever its state changes, as server-sent events, until it has ended."""
    job, seen = _job(job_id), request.headers.get("Last-Event-ID")
    if job.status.has_ended and event_id(job) == seen:
        return nothing()  # which stops a browser from asking again
    states = farm().jobs.follow(job, every_s=KEEP_ALIVE_S)
    first = next(states)  # takes its place among those who wait, or finds none
    stream = _stream(first, states, seen, farm().presence.pace_seconds)
    response = Response(stream, content_type=EVENTS)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(states.close)
    return response


def event_id(job: Job) -> str:
    """Name the state that a job is in; the same in every process."""
    return "-".join(filter(None, (str(len(job.attempts)), job.status, job.queue)))


def _stream(
    job: Job | None, states: Iterator[Job], seen: str | None, pace_seconds: Callable[[str], float]
) -> Iterator[str]:
    """Give an event for each state that is not the one seen last, a comment where nothing is new."""
    try:
        while job is not None:
            if event_id(job) == seen:
                yield ": nothing new\n\n"
            else:
                seen = event_id(job)
                yield f"event: job\nid: {seen}\ndata: {describe(job, pace_seconds).model_dump_json()}\n\n"
            job = next(states, None)
    except VoicefarmError as error:
        # The answer has begun, so all it can do is end; who follows a job asks again.
        log.warning("events_ended", code=error.code)


def _job(job_id: str) -> Job:
    return farm().jobs.get(_checked(job_id), caller=g.caller)


def _checked(job_id: str) -> str:
    if not UUID_PATTERN.fullmatch(job_id):
        raise NotFound(f"There is no job {job_id}.")
    return job_id.lower()


def accepted(job: Job) -> Response:
    """Answer 202: where the job is, and when to ask for it."""
    body = _shown(job)
    response = _located(body, status=202)
    eta_seconds = body.queue.eta_seconds if body.queue else 0
    response.headers["Retry-After"] = str(retry_after_s(eta_seconds))
    return response


def _located(body: schemas.Job, *, status: int = 200) -> Response:
    response = as_json(body, status=status)
    response.headers["Location"] = f"/api/voice/jobs/{body.id}"
    return response


def _shown(job: Job) -> schemas.Job:
    return describe(job, farm().presence.pace_seconds)


def describe(job: Job, pace_seconds: Callable[[str], float]) -> schemas.Job:
    """Give a job as the API shows it; `pace_seconds` tells how long a queue takes for each job."""
    return schemas.Job(
        id=job.id,
        status=job.status,
        created_at=timestamp_ms(job.created_ms),
        started_at=job.started_ms and timestamp_ms(job.started_ms),
        finished_at=job.finished_ms and timestamp_ms(job.finished_ms),
        request=schemas.Asked(**job.request.model_dump(exclude={"stream"}, warnings=False)),
        cache_status=CACHE_STATUS[job.how],
        provider=job.provider,
        attempts=[schemas.Attempt(**asdict(attempt)) for attempt in job.attempts],
        queue=_describe_queue(job, pace_seconds),
        degraded=job.result.degraded if job.result else False,
        audio=_describe_audio(job.id, job.result) if job.result else None,
        error=schemas.JobError(**asdict(job.error)) if job.error else None,
    )


def _describe_queue(job: Job, pace_seconds: Callable[[str], float]) -> schemas.Queue | None:
    if job.queue is None or job.position is None:
        return None
    eta_seconds = round(job.position * pace_seconds(job.queue), 3)
    return schemas.Queue(name=job.queue, position=job.position, eta_seconds=eta_seconds)


def _describe_audio(job_id: str, result: Result) -> schemas.JobAudio:
    return schemas.JobAudio(
        url=job_audio_url(job_id, result),
        format=AudioFormat(result.format),
        bytes=result.size_bytes,
        duration_ms=result.duration_ms,
        sample_rate=result.sample_rate,
    )
