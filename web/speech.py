"""`POST /api/voice/synthesize` and `GET /api/voice/audio/KEY`."""

from __future__ import annotations

import re

from flask import Blueprint, Response, g, request

from shared.cache import CachedAudio
from shared.errors import Conflict, FailedAttempt, NotFound, SynthesisFailed
from shared.ledger import Job, Status
from shared.scopes import Scope
from web.auth import requires
from web.context import farm
from web.jobs import CACHE_STATUS, accepted
from web.requests import idempotency_key, preferred_wait_s, queried_wait_s, speech_request
from web.responses import cached_audio, job_audio

blueprint = Blueprint("speech", __name__)

_KEY = re.compile(r"[0-9a-f]{64}")


@blueprint.post("/api/voice/synthesize")
@requires(Scope.SPEAK, to_be_spoken=True)
def synthesize() -> Response:
    """Answer with audio from the cache, or with a job, or wait for it as long as the caller prefers."""
    queried_s, preferred_s = queried_wait_s(), preferred_wait_s()
    wait_s = preferred_s if queried_s is None else queried_s
    asked, key = speech_request(), idempotency_key()
    answer: CachedAudio | Job
    about = {"caller": g.caller, "epoch": g.epoch, "roll_call": g.roll_call}
    if key:  # it stands for a job, so there must be one
        answer, is_new = farm().order(asked, idempotency_key=key, **about)
    else:
        answer, is_new = farm().ask(asked, **about), True
    if isinstance(answer, CachedAudio):
        g.cache_status, g.applied_s = "HIT", wait_s
        return cached_audio(answer)
    g.cache_status = CACHE_STATUS[answer.how]
    if wait_s:
        waited = farm().jobs.wait(answer, wait_s)
        if waited is None:  # too many wait already
            return accepted(answer)
        answer = waited
    g.applied_s = wait_s
    return accepted(answer) if is_new and not wait_s else _answer(answer)


def _answer(job: Job) -> Response:
    if job.result is not None:
        return job_audio(job.id, job.result, farm().jobs.audio(job))
    if job.status is Status.CANCELLED:
        raise Conflict(f"The job {job.id} was cancelled.")
    if job.status is Status.FAILED:
        detail = job.error.detail if job.error else None
        attempts = [FailedAttempt(tried.provider, tried.code, tried.detail) for tried in job.attempts]
        raise SynthesisFailed(detail, attempts=attempts)
    return accepted(job)


@blueprint.after_request
def _label(response: Response) -> Response:
    if request.endpoint == "speech.synthesize" and request.method == "POST":
        # A refusal is a miss, too: what was asked for is not in the cache.
        response.headers["X-Cache-Status"] = g.get("cache_status", "MISS")
    if g.get("applied_s") is not None:
        response.headers["Preference-Applied"] = f"wait={g.applied_s}"
    return response


@blueprint.get("/api/voice/audio/<key>")
@requires(Scope.SPEAK)
def audio(key: str) -> Response:
    """Answer with cached audio by its key."""
    if not _KEY.fullmatch(key):
        raise NotFound("A key is 64 hexadecimal digits in lower case.")
    return cached_audio(farm().cached(key, epoch=g.epoch))
