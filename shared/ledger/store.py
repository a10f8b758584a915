"""The ledger: what callers do to it, and what workers and sweeps do, each one script or one round trip."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from shared.circuits import PROBE_AFTER_MS
from shared.connections import state_errors
from shared.ledger.attempts import join_attempts
from shared.ledger.intake import RING_AGAIN_MS, Intake
from shared.ledger.records import Claim, Waiting
from shared.lua import DRAFT_MS, run_script, script_call
from shared.turns import next_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from shared.connections import Command
    from shared.ledger.attempts import Attempt
    from shared.ledger.records import Result
    from shared.presence import RollCall
    from shared.settings import Settings
    from shared.usage import Usage

# How long a request that missed the cache may take to submit and still be told "done".
KEEP_LIVE_MS = 60_000
SWEEP_BATCH = 200
_NO_AUDIO = b"no audio"
ALL_FAILED = "Every provider that could speak this failed."


class Ledger(Intake):
    """Jobs and renderings in the state Redis: what moves them, beside what takes them in and reads them.

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
        super().__init__(
            redis,
            deadline_ms=deadline_ms,
            job_ttl_ms=job_ttl_ms,
            max_backlog=max_backlog,
            broker_db=broker_db,
        )
        self.lease_ms = lease_ms

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
