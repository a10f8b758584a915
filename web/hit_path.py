"""The hit path: what the app answered from the cache is answered from this process's memory from then on.

WSGI middleware, because a hit that passes through Flask takes three times as long. It knows nothing of
speech: it learns from the app's own answers. One is given again only to the same question, and only while

* the epoch is the one under which it was made: nobody's key, no personality and no cache was changed since;
* the caller's key is valid;
* Redis has not said that the cached entry changed, and the entry has not expired.

While the state Redis fails it goes on for a minute, with the epoch that it read last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

from shared.errors import StateUnavailable, Unauthorized
from web.context import EPOCH, HIT
from web.requests import sane_request_id
from web.responses import cache_control

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from shared.cache import CachedAudio
    from shared.farm import Farm
    from web.front_metrics import FrontMetrics

_SYNTHESIZE = ("POST", "/api/voice/synthesize")
_AUDIO = "/api/voice/audio/"
_MAX_BODY_BYTES = 16_384
_OVERHEAD_BYTES = 2_000
# Headers that make an answer another one; a request with any of them is the app's.
_SPECIAL = ("HTTP_IDEMPOTENCY_KEY", "HTTP_RANGE", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_RANGE")
_PER_ANSWER = {"x-request-id", "cache-control"}


class Question(NamedTuple):
    """All of a request that decides its answer, but for the key."""

    method: str
    path: str
    content_type: str
    prefer: str
    origin: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and what it stands on."""

    audio: CachedAudio
    headers: tuple[tuple[str, str], ...]
    epoch: bytes
    asked_at: float
    """By `time.monotonic`."""


class HitPath:
    """Answers hits; hands everything else to the app, and learns from what that answers."""

    def __init__(self, app: WSGIApplication, farm: Farm, metrics: FrontMetrics) -> None:
        self._app = app
        self._farm = farm
        self._metrics = metrics
        self._lock = Lock()
        self._answers: LRUCache[Question, Answer] = LRUCache(
            farm.settings.front_memory_mb * 1_000_000,
            getsizeof=lambda answer: len(answer.audio.data) + _OVERHEAD_BYTES,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        began = time.perf_counter()
        question = _question(environ)
        if question is None:
            return self._app(environ, start_response)
        answer = self._recall(question, environ["HTTP_AUTHORIZATION"])
        if answer is None:
            return self._learn(question, environ, start_response)
        self._farm.cache.note_asked(answer.audio)
        if question.method == "POST":
            self._farm.cache.requests.count("hits")
            self._farm.demand.note_hit(answer.audio.key)
            self._metrics.count_answer("HIT", "audio", time.perf_counter() - began)
        headers = [
            *answer.headers,
            ("Cache-Control", cache_control(answer.audio)),
            ("X-Request-Id", sane_request_id(environ.get("HTTP_X_REQUEST_ID", ""))),
        ]
        start_response("200 OK", headers)
        return [answer.audio.data]

    def _recall(self, question: Question, authorization: str) -> Answer | None:
        with self._lock:
            answer = self._answers.get(question)
        if answer is None:
            return None
        try:
            still_stands = self._stands(answer, authorization.partition(" ")[2].strip())
        except (StateUnavailable, Unauthorized):
            return None  # the app knows how to say so
        if not still_stands:
            with self._lock:
                self._answers.pop(question, None)
            return None
        return answer

    def _stands(self, answer: Answer, secret: str) -> bool:
        directory = self._farm.directory
        try:
            epoch = directory.read_epoch()
        except StateUnavailable:
            epoch = directory.recent_epoch()
        if epoch != answer.epoch:
            return False
        directory.authenticate(epoch, secret)
        if time.time() * 1000 >= answer.audio.metadata.expires_ms:
            return False
        return not self._farm.invalidations.may_have_changed(answer.audio.key, answer.asked_at)

    def _learn(
        self, question: Question, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        asked_at = time.monotonic()

        def note(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            audio, epoch = environ.get(HIT), environ.get(EPOCH)
            if audio is not None and epoch and status.startswith("200 "):
                kept = tuple(header for header in headers if header[0].lower() not in _PER_ANSWER)
                self._keep(question, Answer(audio, kept, epoch, asked_at))
            return start_response(status, headers, *rest)  # type: ignore[arg-type]

        return self._app(environ, note)  # type: ignore[arg-type]

    def _keep(self, question: Question, answer: Answer) -> None:
        if len(answer.audio.data) + _OVERHEAD_BYTES > self._answers.maxsize:
            return
        with self._lock:
            self._answers[question] = answer


def _question(environ: WSGIEnvironment) -> Question | None:
    """Read the request, if it is one that may be answered from memory; its body can be read again after."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    is_synthesis = (method, path) == _SYNTHESIZE
    if not is_synthesis and not (method == "GET" and path.startswith(_AUDIO)):
        return None
    if environ.get("QUERY_STRING") or any(name in environ for name in _SPECIAL):
        return None
    if not environ.get("HTTP_AUTHORIZATION", "").lower().startswith("bearer "):
        return None
    body = b""
    if is_synthesis:
        length = environ.get("CONTENT_LENGTH", "")
        if not (length.isascii() and length.isdigit() and int(length) <= _MAX_BODY_BYTES):
            return None
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = BytesIO(body)
    told = environ.get
    return Question(
        method, path, told("CONTENT_TYPE", ""), told("HTTP_PREFER", ""), told("HTTP_ORIGIN", ""), body
    )
