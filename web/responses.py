"""What goes out: audio with its headers, times, pages of lists."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from shared.models import AudioFormat
from web.context import HIT
from web.ranges import wanted_piece

if TYPE_CHECKING:
    from shared.cache import CachedAudio
    from shared.ledger import Result
    from web.schemas import Body


def timestamp(time: datetime) -> str:
    """Give a time as RFC 3339 in UTC, with milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def timestamp_ms(ms: int) -> str:
    """Give milliseconds since 1970 as RFC 3339 in UTC, with milliseconds."""
    return timestamp(datetime.fromtimestamp(ms / 1000, UTC))


def as_json(body: Body, *, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(body.model_dump_json(), status=status, content_type="application/json")


def nothing() -> Response:
    """Answer that it is done, with no body and so of no type."""
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def cached_audio(audio: CachedAudio) -> Response:
    """Answer with audio from the cache."""
    about = audio.metadata
    response = _audio(
        audio.data,
        audio_format=about.format,
        provider=about.provider,
        duration_ms=about.duration_ms,
        sample_rate=about.sample_rate,
        degraded=about.degraded,
        sha256=about.sha256,
    )
    response.headers["Content-Location"] = audio_url(audio.key)
    response.headers["Cache-Control"] = cache_control(audio)
    request.environ[HIT] = audio
    return _as_asked(response, audio.data)


def cache_control(audio: CachedAudio) -> str:
    """Give the header by which the caller's own cache forgets the audio when ours does."""
    remaining_s = max(0, int(audio.metadata.expires_ms / 1000 - time.time()))
    return f"private, max-age={remaining_s}"


def job_audio(job_id: str, result: Result, data: bytes) -> Response:
    """Answer with the audio of a job that has succeeded."""
    response = _audio(
        data,
        audio_format=result.format,
        provider=result.provider,
        duration_ms=result.duration_ms,
        sample_rate=result.sample_rate,
        degraded=result.degraded,
        sha256=result.sha256,
    )
    response.headers["Content-Location"] = job_audio_url(job_id, result)
    return _as_asked(response, data)


def audio_url(key: str) -> str:
    """Give the address of cached audio."""
    return f"/api/voice/audio/{key}"


def job_audio_url(job_id: str, result: Result) -> str:
    """Give the address of a job's audio: by its key, or by the job where no cache holds it."""
    return audio_url(result.key) if result.cached else f"/api/voice/jobs/{job_id}/audio"


def _audio(
    data: bytes,
    *,
    audio_format: str,
    provider: str,
    duration_ms: int,
    sample_rate: int,
    degraded: bool,
    sha256: str,
) -> Response:
    response = Response(data, content_type=AudioFormat(audio_format).content_type)
    response.set_etag(sha256)
    response.headers["X-Provider"] = provider
    response.headers["X-Duration-MS"] = str(duration_ms)
    response.headers["X-Sample-Rate"] = str(sample_rate)
    response.headers["X-Degraded"] = "true" if degraded else "false"
    return response


def _as_asked(response: Response, data: bytes) -> Response:
    """Honour a GET's or HEAD's conditions and a GET's range, in the order of RFC 9110, 13.2.2.

    Raises:
        PreconditionFailed: `If-Match` names something else.
        RequestedRangeNotSatisfiable: nothing of the range is there.
    """
    if request.method not in {"GET", "HEAD"}:
        return response
    response.headers["Accept-Ranges"] = "bytes"
    response.make_conditional(request)
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed
    if response.status_code == HTTPStatus.OK and request.method == "GET":
        _cut(response, data)
    return response


def _cut(response: Response, data: bytes) -> None:
    """Leave the piece that `Range` asks for, if it asks for one that can be given."""
    if_range = request.if_range
    if (if_range.etag or if_range.date) and if_range.etag != response.get_etag()[0]:
        return
    piece = wanted_piece(request.headers.get("Range", ""), len(data))
    if piece is None:
        return
    response.set_data(data[piece])
    response.status_code = HTTPStatus.PARTIAL_CONTENT
    response.headers["Content-Range"] = f"bytes {piece.start}-{piece.stop - 1}/{len(data)}"
