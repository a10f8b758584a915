"""The ledger's records, and how a job's state follows from its rendering's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from shared.ledger.attempts import parse_attempts
from shared.models import Utterance
from shared.priorities import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.cache import CachedAudio
    from shared.ledger.attempts import Attempt
    from shared.models import Audio, SpeechRequest


class Status(StrEnum):
    """The states of a rendering, and so of a job.

    queued → running      a worker claims it
    running → queued      its lease ended, or the provider failed and the next one is to try
    queued, running → succeeded | failed | cancelled
    """

    QUEUED = "queued"
    """Waits in a provider's queue."""
    RUNNING = "running"
    """A worker holds the lease."""
    SUCCEEDED = "succeeded"
    """There is audio."""
    FAILED = "failed"
    """No provider could speak it, or the deadline passed."""
    CANCELLED = "cancelled"
    """Nobody wants it any more."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self not in {Status.QUEUED, Status.RUNNING}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of finished audio; the bytes lie beside it."""

    key: str
    provider: str
    format: str
    size_bytes: int
    duration_ms: int
    sample_rate: int
    degraded: bool
    sha256: str
    cached: bool = False
    """Whether the cache took it, too."""

    @classmethod
    def of(cls, key: str, audio: Audio, *, cached: bool) -> Self:
        """Describe audio that was made."""
        return cls(
            key=key,
            provider=audio.provider,
            format=audio.format,
            size_bytes=len(audio.data),
            duration_ms=audio.duration_ms,
            sample_rate=audio.sample_rate_hz,
            degraded=audio.degraded,
            sha256=audio.sha256,
            cached=cached,
        )

    @classmethod
    def of_cached(cls, hit: CachedAudio) -> Self:
        """Describe audio that the cache holds."""
        about = hit.metadata
        return cls(
            key=hit.key,
            provider=about.provider,
            format=about.format,
            size_bytes=len(hit.data),
            duration_ms=about.duration_ms,
            sample_rate=about.sample_rate,
            degraded=about.degraded,
            sha256=about.sha256,
            cached=True,
        )

    def to_json(self) -> str:
        """Encode for the ledger."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's own name for a request: repeated within a day it gives the job of its first time."""

    key: str
    body: str
    """A digest of the request, by which another one under the same name is told."""

    @classmethod
    def of(cls, key: str, request: SpeechRequest) -> Self:
        """Name a request as the caller sent it."""
        return cls(key, hashlib.sha256(request.model_dump_json().encode()).hexdigest())


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued rendering that somebody has to be found for."""

    rendering_id: str
    provider: str
    attempt: int
    chain: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    request_id: str
    priority: Priority

    @classmethod
    def decode(cls, rendering: str, provider: str, about: Sequence[Any]) -> Self:
        """Decode what the scripts tell of it: attempt, chain, attempts, request ID, priority."""
        attempt, chain, attempts, request_id, priority = about
        return cls(
            rendering_id=rendering,
            provider=provider,
            attempt=int(attempt),
            chain=tuple(json.loads(chain)),
            attempts=parse_attempts(attempts),
            request_id=(request_id or b"").decode(),
            priority=Priority((priority or b"interactive").decode()),
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to one attempt; `attempt` is its fence."""

    rendering_id: str
    attempt: int
    provider: str
    utterance: Utterance
    chain: tuple[str, ...]
    attempts: tuple[Attempt, ...]
    request_id: str
    """The HTTP request that began it; empty without one."""
    is_probe: bool = False
    """Whether the provider's circuit let it through to try."""

    @classmethod
    def of(cls, waiting: Waiting, utterance: bytes, *, is_probe: bool) -> Self:
        """Claim what waited."""
        return cls(
            rendering_id=waiting.rendering_id,
            attempt=waiting.attempt,
            provider=waiting.provider,
            utterance=Utterance.from_json(utterance),
            chain=waiting.chain,
            attempts=waiting.attempts,
            request_id=waiting.request_id,
            is_probe=is_probe,
        )

    @property
    def cache_key(self) -> str:
        """The key under which the audio is cached."""
        return cache_key_of(self.rendering_id)

    @property
    def draft(self) -> str:
        """Where the ledger's script looks for the audio of this attempt."""
        return f"voice:draft:{self.rendering_id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Job:
    """What one caller asked for, as it stands now. Times are milliseconds since 1970."""

    id: str
    owner: str
    rendering_id: str
    request: SpeechRequest
    how: str
    status: Status
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    left_ms: int
    """How long it may still take, by the server's clock."""
    provider: str | None
    attempts: tuple[Attempt, ...]
    queue: str | None
    position: int | None
    result: Result | None
    error: Failure | None
    audio: bytes | None = None
    """What it gave, if that was asked for."""


def rendering_id(cache_key: str, origin: str) -> str:
    """Name a rendering by the job that would begin it, or by the digest of the cached audio that it keeps.

    The same key may be rendered again, once its audio has expired.
    """
    return f"{cache_key}:{origin}"


def cache_key_of(rendering_id: str) -> str:
    """Give the cache key in a rendering's name."""
    return rendering_id.partition(":")[0]


def log_fields(rendering_id: str) -> dict[str, str]:
    """Give what every log line about a rendering carries: its short name, and the job that began it."""
    return {"rendering": rendering_id[:12], "job_id": rendering_id.partition(":")[2]}


def derive_status(
    job: Mapping[str, str], rendering: Mapping[str, str], now_ms: int
) -> tuple[Status, int | None]:
    """Give a job's state and the time it ended, from its record, its rendering's, and the clock.

    A job is over when it was cancelled, when its rendering ended, or at its own deadline, whichever came
    first; a rendering may outlive a job's deadline for the sake of those that joined later.
    """
    deadline_ms = int(job["deadline_ms"])
    status = Status(rendering["state"])
    finished_ms = int(rendering["finished_ms"]) if "finished_ms" in rendering else None
    if "cancelled_ms" in job:
        return Status.CANCELLED, int(job["cancelled_ms"])
    if finished_ms is not None and finished_ms < deadline_ms:
        return status, max(finished_ms, int(job["created_ms"]))
    if now_ms >= deadline_ms:
        return Status.FAILED, deadline_ms
    return status, finished_ms
