"""The ledger's operations, each one script or one round trip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, cast

from shared.circuits import PROBE_AFTER_MS
from shared.connections import state_errors
from shared.errors import IdempotencyMismatch, QueueFull, RateLimited
from shared.ledger.attempts import join_attempts
from shared.ledger.reading import Standing, Submitted
from shared.ledger.records import Claim, Waiting, rendering_id
from shared.ledger.results import ResultStore
from shared.lua import DRAFT_MS, load_script, run_script, script_call
from shared.priorities import Priority
from shared.turns import LOSSES_PER_PROVIDER, next_turn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Redis

    from shared.connections import Command
    from shared.ledger.attempts import Attempt
    from shared.ledger.records import Idempotency, Job, Result
    from shared.models import SpeechRequest, Utterance
    from shared.presence import RollCall
    from shared.settings import Settings
    from shared.usage import Usage

# How soon a doorbell that nobody answered is rung again.
RING_AGAIN_MS = 5_000
# How long a request that missed the cache may take to submit and still be told "done".
KEEP_LIVE_MS = 60_000
SWEEP_BATCH = 200
_NO_AUDIO = b"no audio"
ALL_FAILED = "Every provider that could speak this failed."


class Ledger(ResultStore):
    """Jobs and renderings in the state Redis: what moves them, beside what reads them.

    Every method raises `StateUnavailable` when Redis cannot be reached.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        lease_ms: int,
        deadline_ms: int,
        job_ttl_ms: int,
        max_backlog: int,
        broker_db: str | None = None,
    ) -> None:
        """Keep the books in `redis`; `broker_db` is the broker's database, if it is on the same server."""
        super().__init__(redis, job_ttl_ms=job_ttl_ms)
        self.lease_ms = lease_ms
        self._deadline_ms = deadline_ms
        self._max_backlog = max_backlog
        self._broker_db = broker_db
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
            broker_db=settings.broker_db_beside_state,
        )

    def _run(self, name: str, *arguments: str | int, before: Sequence[Command] = ()) -> Any:
        with state_errors():
            *_, answer = run_script(self._line, self._scripts[name], self._frozen, *arguments, before=before)
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

    def claim(self, rendering: str, provider: str, worker: str) -> Claim | Waiting | None:
        """Take a queued rendering for one attempt; instead of one for the cache, one that somebody waits for.

        Gives it back as it waits when the provider's circuit is open, None when there is nothing to do.
        """
        how, *found = self._run("claim", rendering, provider, worker, self.lease_ms, PROBE_AFTER_MS)
        if how not in {b"claimed", b"probe", b"open"}:
            return None
        taken, *about, utterance = found
        waiting = Waiting.decode(taken.decode(), provider, about)
        return waiting if how == b"open" else Claim.of(waiting, utterance, is_probe=how == b"probe")

    def renew(self, claim: Claim) -> str:
        """Keep the lease; 'kept', 'abandoned' (nobody wants the audio any more) or 'fenced' (it was lost)."""
        reply: bytes = self._run("renew", claim.rendering_id, claim.attempt, self.lease_ms)
        return reply.decode()

    def succeed(
        self,
        claim: Claim,
        result: Result,
        data: bytes,
        attempts: Sequence[Attempt] = (),
        *,
        usage: Usage | None = None,
        told: bytes | None = None,
    ) -> bool:
        """End the rendering with its audio; False when another attempt has the fence, and nothing was stored.

        `told` is what Redis has answered to `succeeding`, after which all may be done. What the attempt used
        is written down in any case.
        """
        if told in {None, _NO_AUDIO}:
            with state_errors():
                _, told = run_script(
                    self._line,
                    self._scripts["finish"],
                    *self._succeeding(claim, result, attempts, usage),
                    before=[("SET", claim.draft, data, "PX", DRAFT_MS)],
                )
        return told == b"succeeded"

    def succeeding(
        self, claim: Claim, result: Result, attempts: Sequence[Attempt] = (), *, usage: Usage | None = None
    ) -> Command:
        """Give the command that does what `succeed` does, if the ledger has the audio as the claim's draft.

        It is refused where the server does not know the script yet; `succeed` teaches it.
        """
        return script_call(self._scripts["finish"], *self._succeeding(claim, result, attempts, usage))

    def _succeeding(
        self, claim: Claim, result: Result, attempts: Sequence[Attempt], usage: Usage | None
    ) -> tuple[str | int, ...]:
        finishing = self._finishing(
            claim.rendering_id,
            claim.attempt,
            "succeeded",
            attempts=attempts,
            value=result.to_json(),
            usage=usage,
        )
        return self._frozen, *finishing

    def fail(
        self,
        rendering: str,
        attempt: int,
        code: str,
        detail: str,
        attempts: Sequence[Attempt] = (),
        *,
        usage: Usage | None = None,
    ) -> str:
        """End the rendering without audio; what the attempt used is written down in any case."""
        value = json.dumps({"code": code, "detail": detail})
        return self._finish(rendering, attempt, "failed", attempts=attempts, value=value, usage=usage)

    def pass_on(
        self,
        rendering: str,
        attempt: int,
        provider: str,
        attempts: Sequence[Attempt] = (),
        *,
        usage: Usage | None = None,
    ) -> str:
        """Queue the rendering for another provider; what the attempt used is written down in any case."""
        return self._finish(rendering, attempt, "retry", attempts=attempts, provider=provider, usage=usage)

    def abandon(self, claim: Claim, usage: Usage | None = None) -> str:
        """End a rendering that nobody wants; queues it again if a job has joined meanwhile.

        What the attempt used is written down in any case.
        """
        return self._finish(claim.rendering_id, claim.attempt, "cancelled", usage=usage)

    def _finish(self, rendering: str, attempt: int, outcome: str, **how: Any) -> str:
        reply: bytes = self._run("finish", *self._finishing(rendering, attempt, outcome, **how))
        return reply.decode()

    def _finishing(
        self,
        rendering: str,
        attempt: int,
        outcome: str,
        *,
        attempts: Sequence[Attempt] = (),
        provider: str = "",
        value: str = "",
        usage: Usage | None = None,
    ) -> tuple[str | int, ...]:
        return (
            rendering,
            attempt,
            outcome,
            join_attempts(attempts),
            provider,
            value,
            RING_AGAIN_MS,
            KEEP_LIVE_MS,
            usage.to_json() if usage else "",
        )

    def leave(self, job_id: str, *, if_queued: bool = False) -> str:
        """Cancel one job: 'left', 'ended' (too late) or 'gone' (no such job).

        With `if_queued` one that is worked on is left alone: 'running'.
        """
        reply: bytes = self._run("leave", job_id, int(if_queued))
        return reply.decode()

    def sweep(self) -> tuple[list[Waiting], list[str]]:
        """Take back what lost its lease, end what is past its deadline.

        Gives what waits to be rung again, and the provider of each lease that was lost.
        """
        lost, *found = self._run("sweep", SWEEP_BATCH, RING_AGAIN_MS)
        waiting = [Waiting.decode(rendering.decode(), at.decode(), about) for rendering, at, *about in found]
        return waiting, [provider.decode() for provider in lost]

    def redirect(self, waiting: Waiting, roll_call: RollCall) -> str | None:
        """Give who is to be rung for a waiting rendering, having passed it on where that is another one.

        None: nobody can take it now, or it has ended because all have failed.
        """
        turn = next_turn(waiting.chain, waiting.attempts, roll_call)
        if turn is None:
            self.fail(waiting.rendering_id, waiting.attempt, "synthesis_failed", ALL_FAILED)
            return None
        if turn.provider != waiting.provider:
            self.pass_on(waiting.rendering_id, waiting.attempt, turn.provider, turn.passed_over)
        return turn.provider if turn.can_speak else None

    def queued(self, queue: str) -> int:
        """Count the renderings that wait in one of a provider's queues."""
        with state_errors():
            return int(self.redis.zcard(f"voice:queue:{queue}"))
