"""Pre-warming: batches of speech that is made before anybody asks for it, and what would be worth it."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from flask import Blueprint, Response, g

from shared.errors import FieldError, InvalidRequest, NotFound
from shared.models import UUID_PATTERN
from shared.prewarm import MAX_KEPT, PrewarmRequest, plan
from shared.scopes import Scope
from web import prewarm_schemas as schemas
from web.auth import requires
from web.context import farm
from web.pages import asked_place, cursor_at, page_limit
from web.requests import json_body
from web.responses import as_json, timestamp_ms

if TYPE_CHECKING:
    from shared.prewarm import Batch, Miss, Plan

blueprint = Blueprint("prewarm", __name__)

_PLACE = re.compile(r"[0-9]{1,16}")
# A page of batches that all failed would be megabytes.
_FAILURES_IN_LISTS = 10

log = structlog.get_logger()


@blueprint.post("/api/voice/prewarm")
@requires(Scope.MANAGE)
def create() -> Response:
    """Begin a batch, behind all that somebody waits for; with `dry_run` only tell what it would take."""
    asked = PrewarmRequest.parse(json_body(), max_text_chars=farm().settings.max_text_chars)
    if asked.top is None:
        planned = plan(farm(), asked.requests(), epoch=g.epoch)
    else:
        missed = [miss.request for miss in _missed(asked.top)]
        planned = plan(farm(), missed, epoch=g.epoch, lenient=True)
        if not planned.total:
            raise InvalidRequest([FieldError("top", "finds nothing: nothing was missed that can be spoken")])
    return _dry_run(planned) if asked.dry_run else _begin(planned)


def _dry_run(planned: Plan) -> Response:
    return as_json(
        schemas.DryRun(
            total=planned.total,
            already_cached=planned.already_cached,
            estimated_seconds=planned.seconds,
            estimated_cost_usd=planned.cost_usd,
            estimated_bytes=planned.size_bytes,
        )
    )


def _begin(planned: Plan) -> Response:
    batch_id = farm().batches.begin(
        planned.items,
        owner=g.caller.id,
        already_cached=planned.already_cached,
        estimated_s=planned.seconds,
    )
    log.info("batch_begun", batch=batch_id, total=planned.total, already_cached=planned.already_cached)
    response = as_json(_describe(farm().batches.get(batch_id)), status=202)
    response.headers["Location"] = f"/api/voice/batches/{batch_id}"
    return response


@blueprint.get("/api/voice/prewarm/suggestions")
@requires(Scope.MANAGE)
def suggestions() -> Response:
    """Answer with what was missed most lately; a batch of `{"top": 100}` makes the first hundred."""
    return as_json(schemas.Suggestions(items=[_suggest(miss) for miss in _missed(page_limit())]))


def _missed(most: int) -> list[Miss]:
    """Give what was missed most lately, but for personalities that are gone or not active."""
    is_active = cache(_is_active)
    missed = farm().misses.top(MAX_KEPT)
    return list(islice((miss for miss in missed if is_active(miss.request.personality_id)), most))


def _is_active(personality_id: str | None) -> bool:
    try:
        return farm().directory.personality(g.epoch, personality_id).is_active
    except NotFound:
        return False


@blueprint.get("/api/voice/batches")
@requires(Scope.MANAGE)
def index() -> Response:
    """Answer with everyone's batches, newest first."""
    place = asked_place(_PLACE)
    batches, before = farm().batches.page(
        limit=page_limit(), before=None if place is None else int(place), failures=_FAILURES_IN_LISTS
    )
    next_cursor = None if before is None else cursor_at(str(before))
    return as_json(schemas.Batches(items=[_describe(batch) for batch in batches], next_cursor=next_cursor))


@blueprint.get("/api/voice/batches/<batch_id>")
@requires(Scope.MANAGE)
def show(batch_id: str) -> Response:
    """Answer with the batch as it stands now, and with all that failed."""
    return as_json(_describe(farm().batches.get(_checked(batch_id))))


@blueprint.delete("/api/voice/batches/<batch_id>")
@requires(Scope.MANAGE)
def cancel(batch_id: str) -> Response:
    """Cancel what has not begun of the batch."""
    batch = farm().batches.cancel(_checked(batch_id))
    log.info("batch_cancelled", batch=batch.id)
    return as_json(_describe(batch))


def _checked(batch_id: str) -> str:
    if not UUID_PATTERN.fullmatch(batch_id):
        raise NotFound(f"There is no batch {batch_id}.")
    return batch_id.lower()


def _describe(batch: Batch) -> schemas.Batch:
    """Give a batch as the API shows it."""
    return schemas.Batch(
        id=batch.id,
        status=batch.status,
        total=batch.total,
        already_cached=batch.already_cached,
        counts=schemas.Counts(**{status.value: count for status, count in batch.counts.items()}),
        failed=[schemas.FailedItem.model_validate(asdict(item)) for item in batch.failed],
        eta_seconds=batch.eta_seconds,
        created_at=timestamp_ms(batch.created_ms),
        finished_at=batch.finished_ms and timestamp_ms(batch.finished_ms),
    )


def _suggest(miss: Miss) -> schemas.Suggestion:
    fields = miss.request.model_dump(exclude={"stream", "text"}, warnings=False)
    return schemas.Suggestion(
        phrase=miss.request.text, **fields, count=miss.count, score=round(miss.score, 3)
    )
