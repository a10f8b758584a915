"""What callers do to the ledger: submit a job, keep a hit's audio for one, leave it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from shared.connections import state_errors
from shared.errors import IdempotencyMismatch, QueueFull, RateLimited
from shared.ledger.attempts import join_attempts
from shared.ledger.reading import Standing, Submitted
from shared.ledger.records import rendering_id
from shared.ledger.results import ResultStore
from shared.lua import load_script, run_script
from shared.priorities import Priority
from shared.turns import LOSSES_PER_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from shared.ledger.attempts import Attempt
    from shared.ledger.records import Idempotency, Job, Result
    from shared.models import SpeechRequest, Utterance

# How soon a doorbell that nobody answered is rung again.
RING_AGAIN_MS = 5_000


class Intake(ResultStore):
    """Jobs on their way in, and out again when nobody wants them any more.

    Every method raises `StateUnavailable` when Redis cannot be reached.
    """

    def __init__(
        self, redis: Redis, *, deadline_ms: int, job_ttl_ms: int, max_backlog: int, broker_db: str | None
    ) -> None:
        super().__init__(redis, job_ttl_ms=job_ttl_ms)
        self._deadline_ms = deadline_ms
        self._max_backlog = max_backlog
        self._broker_db = broker_db
        names = ("submit", "claim", "renew", "finish", "leave", "sweep")
        self._scripts = {name: load_script(redis, "shared.ledger", name) for name in names}

    def _run(self, name: str, *arguments: str | int) -> Any:
        with state_errors():
            [answer] = run_script(self._line, self._scripts[name], self._frozen, *arguments)
            return answer

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
        looked_at_ms: int,
        idempotency: Idempotency | None = None,
        may_begin: bool = True,
        request_id: str = "",
        passed_over: Sequence[Attempt] = (),
        priority: Priority = Priority.INTERACTIVE,
        deadline_ms: int | None = None,
        max_backlog: int | None = None,
        draft: Callable[[str], str] | None = None,
    ) -> Submitted:
        """Record a job and join or begin its rendering.

        `looked_at_ms` is the server's time before the caller looked in the cache; audio made since is "done".
        Without `may_begin` it may only join what is under way, which makes no work.
        `request_id` names the HTTP request for the log lines of whoever works on it.
        `passed_over` are those before the provider that are not asked.
        A job for the cache, by its `priority`, is in nobody's list.
        `deadline_ms` from now and `max_backlog` of its queue take the place of every job's.
        If the broker is on the ledger's server, it is rung for a new rendering that somebody waits for, with
        the message that `draft` gives for that.

        Raises:
            QueueFull: the provider's backlog is at its limit; no job was left behind.
            RateLimited: it would have begun a rendering and may not; no job was left behind.
            IdempotencyMismatch: the key stands for another request.
        """
        rendering = rendering_id(cache_key, job_id)
        return self._record(
            cache_key,
            rendering,
            job_id=job_id,
            owner=owner,
            request=request,
            idempotency=idempotency,
            provider=provider,
            chain=chain,
            utterance=utterance.to_json(),
            looked_at_ms=looked_at_ms,
            may_begin=may_begin,
            request_id=request_id,
            attempts=join_attempts(passed_over),
            priority=priority,
            deadline_ms=deadline_ms,
            max_backlog=max_backlog,
            message=draft(rendering) if draft and self._broker_db is not None else "",
        )

    def keep(
        self,
        result: Result,
        data: bytes,
        *,
        job_id: str,
        owner: str,
        request: SpeechRequest,
        idempotency: Idempotency | None = None,
    ) -> Submitted:
        """Record a job that has succeeded with cached audio, which is kept for it whatever the cache does.

        Jobs of the same audio share one rendering, and so one copy.

        Raises:
            IdempotencyMismatch: the key stands for another request.
        """
        rendering = rendering_id(result.key, result.sha256)
        self.keep_audio(rendering, data)
        return self._record(
            result.key,
            rendering,
            job_id=job_id,
            owner=owner,
            request=request,
            idempotency=idempotency,
            provider=result.provider,
            result=result.to_json(),
        )

    def _record(
        self,
        cache_key: str,
        rendering: str,
        *,
        job_id: str,
        owner: str,
        request: SpeechRequest,
        idempotency: Idempotency | None,
        provider: str,
        chain: tuple[str, ...] = (),
        utterance: str = "",
        looked_at_ms: int = 0,
        may_begin: bool = False,
        request_id: str = "",
        attempts: str = "",
        result: str = "",
        priority: Priority = Priority.INTERACTIVE,
        deadline_ms: int | None = None,
        max_backlog: int | None = None,
        message: str = "",
    ) -> Submitted:
        max_backlog = self._max_backlog if max_backlog is None else max_backlog
        how, *submitted = self._run(
            "submit",
            job_id,
            owner,
            request.model_dump_json(),
            cache_key,
            rendering,
            idempotency.key if idempotency else "",
            idempotency.body if idempotency else "",
            result,
            provider,
            json.dumps(chain),
            utterance,
            LOSSES_PER_PROVIDER * len(chain),
            max_backlog,
            looked_at_ms,
            RING_AGAIN_MS,
            self._deadline_ms if deadline_ms is None else deadline_ms,
            self._ttl_ms,
            int(may_begin),
            request_id,
            attempts,
            priority,
            self._broker_db or "",
            message,
        )
        if how == b"mismatch":
            raise IdempotencyMismatch
        if how == b"barred":
            raise RateLimited
        if how == b"full":
            raise QueueFull(f"{max_backlog} syntheses wait for {provider} already")
        id_of_job, now_ms, standing, urged, is_rung = submitted
        return Submitted(
            how.decode(),
            Standing.of(id_of_job.decode(), standing, now_ms),
            urged=urged.decode() or None,
            is_rung=bool(is_rung),
        )

    def repeated(self, owner: str, idempotency: Idempotency) -> Job | None:
        """Give the job that this idempotency key stands for, if it is kept.

        Raises:
            IdempotencyMismatch: the key stands for another request.
        """
        with state_errors():
            key = f"voice:idempotency:{owner}:{idempotency.key}"
            body, job_id = cast("list[bytes | None]", self.redis.hmget(key, "body", "job"))
        if body is None or job_id is None:
            return None
        if body.decode() != idempotency.body:
            raise IdempotencyMismatch
        return self.job(job_id.decode())

    def leave(self, job_id: str, *, if_queued: bool = False) -> str:
        """Cancel one job: 'left', 'ended' (too late) or 'gone' (no such job).

        With `if_queued` one that is worked on is left alone: 'running'.
        """
        reply: bytes = self._run("leave", job_id, int(if_queued))
        return reply.decode()
