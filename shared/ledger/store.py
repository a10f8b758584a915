"""The ledger's operations, each one script or one round trip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, cast

from shared.connections import state_errors
from shared.errors import QueueFull, RateLimited
from shared.ledger.records import (
    Claim,
    Failure,
    Job,
    Result,
    Status,
    Submitted,
    Waiting,
    derive_status,
    parse_attempts,
    rendering_id,
)
from shared.lua import load_script
from shared.models import SpeechRequest, Utterance

if TYPE_CHECKING:
    from redis import Redis

    from shared.ledger.records import Attempt
    from shared.settings import Settings

    _Fields = dict[bytes, bytes]

# How soon a doorbell that nobody answered is rung again.
RING_AGAIN_MS = 5_000
# How long a request that missed the cache may take to submit and still be told "done".
KEEP_LIVE_MS = 60_000
# How often a provider may lose an utterance (its process died) before the next provider is asked.
LOSSES_PER_PROVIDER = 3
SWEEP_BATCH = 200


class Ledger:
    """Jobs and renderings in the state Redis.

    Every method raises `StateUnavailable` when Redis cannot be reached.

    `frozen_ms` takes the place of the server's clock; tests move time with it.
    """

    def __init__(
        self, redis: Redis, *, lease_ms: int, deadline_ms: int, job_ttl_ms: int, max_backlog: int
    ) -> None:
        self.redis = redis
        self.lease_ms = lease_ms
        self._deadline_ms = deadline_ms
        self._ttl_ms = job_ttl_ms
        self._max_backlog = max_backlog
        self.frozen_ms: int | None = None
        names = ("submit", "claim", "renew", "finish", "leave", "sweep")
        self._scripts = {name: load_script(redis, "shared.ledger", name) for name in names}

    @classmethod
    def from_settings(cls, settings: Settings, redis: Redis) -> Self:
        """Make the ledger that the settings describe."""
        return cls(
            redis,
            lease_ms=int(settings.lease_seconds * 1000),
            deadline_ms=settings.job_deadline_seconds * 1000,
            job_ttl_ms=settings.job_ttl_seconds * 1000,
            max_backlog=settings.max_backlog,
        )

    def _run(self, name: str, *arguments: str | int) -> Any:
        with state_errors():
            return self._scripts[name](args=["" if self.frozen_ms is None else self.frozen_ms, *arguments])

    def _now_ms(self) -> int:
        if self.frozen_ms is not None:
            return self.frozen_ms
        seconds, microseconds = self.redis.time()
        return int(seconds * 1000 + microseconds // 1000)

    def submit(
        self,
        cache_key: str,
        utterance: Utterance,
        chain: tuple[str, ...],
        provider: str,
        *,
        job_id: str,
        owner: str,
        request: SpeechRequest,
        looked_ago_ms: int,
        may_begin: bool = True,
        request_id: str = "",
    ) -> Submitted:
        """Record a job and join or begin its rendering.

        `looked_ago_ms` tells how long ago the caller looked in the cache; audio finished since is "done".
        Without `may_begin` it may only join what is under way, which makes no work.
        `request_id` names the HTTP request for the log lines of whoever works on it.

        Raises:
            QueueFull: the provider's backlog is at its limit; no job was left behind.
            RateLimited: it would have begun a rendering and may not; no job was left behind.
        """
        how, rendering = self._run(
            "submit",
            cache_key,
            rendering_id(cache_key, job_id),
            job_id,
            provider,
            self._max_backlog,
            self._deadline_ms,
            RING_AGAIN_MS,
            looked_ago_ms,
            self._ttl_ms,
            LOSSES_PER_PROVIDER * len(chain),
            utterance.to_json(),
            json.dumps(chain),
            owner,
            request.model_dump_json(),
            int(may_begin),
            request_id,
        )
        if how == b"barred":
            raise RateLimited
        if how == b"full":
            raise QueueFull(f"{self._max_backlog} syntheses wait for {provider} already")
        return Submitted(how.decode(), rendering.decode())

    def claim(self, rendering: str, provider: str, worker: str) -> Claim | None:
        """Take a queued rendering for one attempt; None when there is nothing to do."""
        reply = self._run("claim", rendering, provider, worker, self.lease_ms)
        if reply[0] != b"claimed":
            return None
        return Claim(
            rendering_id=rendering,
            attempt=int(reply[1]),
            provider=provider,
            utterance=Utterance.from_json(reply[2]),
            chain=tuple(json.loads(reply[3])),
            attempts=parse_attempts(reply[4]),
            request_id=(reply[5] or b"").decode(),
        )

    def renew(self, claim: Claim) -> str:
        """Keep the lease; 'kept', 'abandoned' (nobody wants the audio any more) or 'fenced' (it was lost)."""
        reply: bytes = self._run("renew", claim.rendering_id, claim.attempt, self.lease_ms)
        return reply.decode()

    def store_result(self, rendering: str, result: Result, data: bytes) -> tuple[Result, bytes]:
        """Keep the audio for the jobs, once: gives what the first attempt stored, this one or another."""
        key = _audio_key(rendering)
        with state_errors():
            value = result.to_json().encode() + b"\n" + data
            if self.redis.set(key, value, nx=True, px=self._deadline_ms + self._ttl_ms):
                return result, data
        return self.result(rendering) or (result, data)

    def result(self, rendering: str) -> tuple[Result, bytes] | None:
        """Give the audio of a rendering that has one."""
        with state_errors():
            value = cast("bytes | None", self.redis.get(_audio_key(rendering)))
        if value is None:
            return None
        header, _, data = value.partition(b"\n")
        return Result.from_json(header), data

    def succeed(self, claim: Claim, result: Result) -> bool:
        """End the rendering with its audio, stored before; False when another attempt has the fence."""
        state = self._finish(claim.rendering_id, claim.attempt, "succeeded", value=result.to_json())
        with state_errors():
            self.redis.pexpire(_audio_key(claim.rendering_id), self._ttl_ms)
        return state == "succeeded"

    def fail(
        self, rendering: str, attempt: int, code: str, detail: str, record: Attempt | None = None
    ) -> str:
        """End the rendering without audio."""
        value = json.dumps({"code": code, "detail": detail})
        return self._finish(rendering, attempt, "failed", record=record, value=value)

    def pass_on(self, rendering: str, attempt: int, provider: str, record: Attempt | None = None) -> str:
        """Queue the rendering for another provider."""
        return self._finish(rendering, attempt, "retry", record=record, provider=provider)

    def abandon(self, claim: Claim) -> str:
        """End a rendering that nobody wants; queues it again if a job has joined meanwhile."""
        return self._finish(claim.rendering_id, claim.attempt, "cancelled")

    def _finish(
        self,
        rendering: str,
        attempt: int,
        outcome: str,
        *,
        record: Attempt | None = None,
        provider: str = "",
        value: str = "",
    ) -> str:
        entry = record.to_json() if record else ""
        reply: bytes = self._run(
            "finish", rendering, attempt, outcome, entry, provider, value, RING_AGAIN_MS, KEEP_LIVE_MS
        )
        return reply.decode()

    def leave(self, job_id: str) -> str:
        """Cancel one job: 'left', 'ended' (too late) or 'gone' (no such job)."""
        reply: bytes = self._run("leave", job_id)
        return reply.decode()

    def sweep(self) -> list[Waiting]:
        """Take back what lost its lease, end what is past its deadline, give what waits to be rung again."""
        return [
            Waiting(
                rendering_id=rendering.decode(),
                provider=provider.decode(),
                attempt=int(attempt),
                chain=tuple(json.loads(chain)),
                attempts=parse_attempts(attempts),
                request_id=(request_id or b"").decode(),
            )
            for rendering, provider, attempt, chain, attempts, request_id in self._run(
                "sweep", SWEEP_BATCH, RING_AGAIN_MS
            )
        ]

    def queued(self, provider: str) -> int:
        """Count the renderings that wait for a provider."""
        with state_errors():
            return int(self.redis.zcard(f"voice:queue:{provider}"))

    def job(self, job_id: str) -> Job | None:
        """Give a job as it stands now; None when it never was or is no longer kept."""
        with state_errors():
            job = _decode(cast("_Fields", self.redis.hgetall(f"voice:job:{job_id}")))
            if not job:
                return None
            rendering = _decode(cast("_Fields", self.redis.hgetall(f"voice:rendering:{job['rendering']}")))
            if not rendering:
                return None
            status, finished_ms = derive_status(job, rendering, self._now_ms())
        return self._view(job_id, job, rendering, status, finished_ms)

    def _view(
        self,
        job_id: str,
        job: dict[str, str],
        rendering: dict[str, str],
        status: Status,
        finished_ms: int | None,
    ) -> Job:
        queue = rendering["provider"] if status is Status.QUEUED else None
        result = Result.from_json(rendering["result"]) if status is Status.SUCCEEDED else None
        return Job(
            id=job_id,
            owner=job["owner"],
            rendering_id=job["rendering"],
            request=SpeechRequest.model_validate_json(job["request"]),
            how=job["how"],
            status=status,
            created_ms=int(job["created_ms"]),
            started_ms=_started_ms(job, rendering),
            finished_ms=finished_ms,
            provider=result.provider if result else None,
            attempts=parse_attempts(rendering["attempts"]),
            queue=queue,
            position=self._position(queue, job["rendering"]) if queue else None,
            result=result,
            error=_failure(status, rendering),
        )

    def _position(self, provider: str, rendering: str) -> int:
        with state_errors():
            rank = cast("int | None", self.redis.zrank(f"voice:queue:{provider}", rendering))
        return 1 if rank is None else rank + 1


def _started_ms(job: dict[str, str], rendering: dict[str, str]) -> int | None:
    """Give when work on it began; for a job that joined a running rendering, when it joined."""
    if "started_ms" not in rendering:
        return None
    return max(int(rendering["started_ms"]), int(job["created_ms"]))


def _failure(status: Status, rendering: dict[str, str]) -> Failure | None:
    if status is not Status.FAILED:
        return None
    if rendering.get("error"):
        return Failure(**json.loads(rendering["error"]))
    return Failure("deadline_exceeded", "The job did not end before its deadline.")


def _audio_key(rendering: str) -> str:
    return f"voice:result:{rendering}"


def _decode(fields: _Fields) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}
