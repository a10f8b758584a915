"""Jobs as they stand now: one by its ID, or a page of them, newest first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from shared.connections import state_errors
from shared.ledger.records import Failure, Job, Result, Status, derive_status, parse_attempts
from shared.models import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

# How many jobs are read at once, and how many one page looks at before it is given as it is.
_STEP = 50
_LOOKED_AT_MOST = 1000

_RENDERING = ("state", "provider", "attempts", "started_ms", "finished_ms", "result", "error")


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is written of a job and of its rendering, and what follows from it at that moment."""

    id: str
    job: dict[str, str]
    rendering: dict[str, str]
    now_ms: int
    status: Status
    finished_ms: int | None

    def matches(self, status: Status | None, personality_id: str | None) -> bool:
        if status not in {None, self.status}:
            return False
        return personality_id in {None, json.loads(self.job["request"])["personality_id"]}

    def describe(self, position: int | None) -> Job:
        result = Result.from_json(self.rendering["result"]) if self.status is Status.SUCCEEDED else None
        return Job(
            id=self.id,
            owner=self.job["owner"],
            rendering_id=self.job["rendering"],
            request=SpeechRequest.from_json(self.job["request"]),
            how=self.job["how"],
            status=self.status,
            created_ms=int(self.job["created_ms"]),
            started_ms=self._started_ms(),
            finished_ms=self.finished_ms,
            left_ms=max(int(self.job["deadline_ms"]) - self.now_ms, 0),
            provider=result.provider if result else None,
            attempts=parse_attempts(self.rendering["attempts"]),
            queue=self.rendering["provider"] if self.status is Status.QUEUED else None,
            position=position,
            result=result,
            error=self._failure() if self.status is Status.FAILED else None,
        )

    def _started_ms(self) -> int | None:
        """Give when work on it began; for a job that joined a running rendering, when it joined."""
        if "started_ms" not in self.rendering:
            return None
        return max(int(self.rendering["started_ms"]), int(self.job["created_ms"]))

    def _failure(self) -> Failure:
        if self.rendering.get("error"):
            return Failure(**json.loads(self.rendering["error"]))
        return Failure("deadline_exceeded", "The job did not end before its deadline.")


class JobReader:
    """Reads jobs from the state Redis, in a few round trips however many they are.

    Every method raises `StateUnavailable` when Redis cannot be reached.

    `frozen_ms` takes the place of the server's clock; tests move time with it.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.frozen_ms: int | None = None

    def now_ms(self) -> int:
        """Give the time by the server's clock, in milliseconds since 1970."""
        if self.frozen_ms is not None:
            return self.frozen_ms
        with state_errors():
            seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def job(self, job_id: str) -> Job | None:
        """Give a job as it stands now; None when it never was or is no longer kept."""
        with state_errors():
            found = self._describe(self._look([job_id]))
        return found[0] if found else None

    def page(
        self,
        *,
        limit: int,
        before: int | None = None,
        owner: str | None = None,
        status: Status | None = None,
        personality_id: str | None = None,
    ) -> tuple[list[Job], int | None]:
        """Give up to `limit` jobs, newest first, and the next page's `before`; None after the last page.

        A page looks at some thousand jobs at most, so with a filter it may be short, even empty, and not the
        last. Each begins where the one before ended: a job that is kept meanwhile is looked at exactly once.
        """
        index = "voice:jobs" if owner is None else f"voice:jobs:{owner}"
        step = max(limit + 1, _STEP)
        found: list[tuple[_Standing, int]] = []
        with state_errors():
            for _ in range(0, _LOOKED_AT_MOST, step):
                scores = self._entries(index, before, step)
                standings = self._look(list(scores))
                self._strike(index, scores.keys() - {standing.id for standing in standings})
                found += [(one, scores[one.id]) for one in standings if one.matches(status, personality_id)]
                before = min(scores.values()) if len(scores) == step else None
                if len(found) > limit:
                    before = found[limit - 1][1]
                if len(found) > limit or before is None:
                    break
            return self._describe([standing for standing, _ in found[:limit]]), before

    def _entries(self, index: str, before: int | None, count: int) -> dict[str, int]:
        """Give job IDs with their scores, newest first."""
        newest = "+inf" if before is None else f"({before}"
        entries = self.redis.zrevrangebyscore(index, newest, "-inf", start=0, num=count, withscores=True)
        return {job_id.decode(): int(score) for job_id, score in cast("list[tuple[bytes, float]]", entries)}

    def _strike(self, index: str, expired: Iterable[str]) -> None:
        """Take out of an index what is no longer kept, so that nobody looks at it again."""
        if names := list(expired):
            self.redis.zrem(index, *names)

    def _look(self, job_ids: Sequence[str]) -> list[_Standing]:
        """Give those of the jobs that are kept, in their order."""
        pipe = self.redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipe.hgetall(f"voice:job:{job_id}")
        jobs = [_decode(fields) for fields in pipe.execute()]
        names = {job["rendering"] for job in jobs if job}
        for name in names:
            pipe.hmget(f"voice:rendering:{name}", _RENDERING)
        pipe.time()
        *values, (seconds, microseconds) = pipe.execute()
        now_ms = self.frozen_ms or seconds * 1000 + microseconds // 1000
        renderings = {
            name: _decode(dict(zip(_RENDERING, fields, strict=True)))
            for name, fields in zip(names, values, strict=True)
        }
        return [
            _Standing(job_id, job, rendering, now_ms, *derive_status(job, rendering, now_ms))
            for job_id, job in zip(job_ids, jobs, strict=True)
            if job and (rendering := renderings[job["rendering"]])
        ]

    def _describe(self, standings: Sequence[_Standing]) -> list[Job]:
        """Give the records, with the positions of those that wait in a queue."""
        pipe = self.redis.pipeline(transaction=False)
        waiting = [standing for standing in standings if standing.status is Status.QUEUED]
        for standing in waiting:
            pipe.zrank(f"voice:queue:{standing.rendering['provider']}", standing.job["rendering"])
        # Without a rank it has been claimed since: it was the first.
        positions = {
            standing.id: (rank or 0) + 1 for standing, rank in zip(waiting, pipe.execute(), strict=True)
        }
        return [standing.describe(positions.get(standing.id)) for standing in standings]


def _decode(fields: dict[bytes, bytes] | dict[str, bytes | None]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in fields.items() if value is not None}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
