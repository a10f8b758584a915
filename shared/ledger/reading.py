"""Jobs as they stand now: one by its ID, or a page of them, newest first."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, cast

from shared.connections import Line, state_errors
from shared.ledger.attempts import parse_attempts
from shared.ledger.records import Failure, Job, Result, Status, derive_status
from shared.lua import load_script, run_script
from shared.models import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from shared.connections import Command

# How many jobs are read at once, and how many one page looks at before it is given as it is.
_STEP = 50
_LOOKED_AT_MOST = 1000
# How long a connection is left without an answer, which may be broken.
_BLOCK_S = 5.0

# The fields of a rendering in a standing, in the order in which common.lua gives them.
_RENDERING = ("state", "provider", "attempts", "started_ms", "finished_ms", "result", "error", "priority")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is written of a job and of its rendering, and what follows from it at that moment."""

    id: str
    job: dict[str, str]
    rendering: dict[str, str]
    now_ms: int
    rank: int | None
    """How many renderings are before its own in the provider's queue; None unless that is queued."""
    status: Status
    finished_ms: int | None

    @classmethod
    def of(cls, job_id: str, standing: list[Any], now_ms: int) -> Self:
        """Decode what `standing` in common.lua gives of one job."""
        fields, values, rank = standing
        texts = iter([field.decode() for field in fields])
        job = dict(zip(texts, texts, strict=True))
        rendering = {
            name: value.decode() for name, value in zip(_RENDERING, values, strict=True) if value is not None
        }
        return cls(job_id, job, rendering, now_ms, rank, *derive_status(job, rendering, now_ms))

    def matches(self, status: Status | None, personality_id: str | None) -> bool:
        """Tell whether it is one of those that a page asks for; None asks for all."""
        if status not in {None, self.status}:
            return False
        return personality_id in {None, json.loads(self.job["request"])["personality_id"]}

    def describe(self, request: SpeechRequest | None = None) -> Job:
        """Give its record; whoever knows the `request` spares reading it."""
        is_queued = self.status is Status.QUEUED
        result = Result.from_json(self.rendering["result"]) if self.status is Status.SUCCEEDED else None
        return Job(
            id=self.id,
            owner=self.job["owner"],
            rendering_id=self.job["rendering"],
            request=request or SpeechRequest.from_json(self.job["request"]),
            how=self.job["how"],
            status=self.status,
            created_ms=int(self.job["created_ms"]),
            started_ms=self._started_ms(),
            finished_ms=self.finished_ms,
            left_ms=max(int(self.job["deadline_ms"]) - self.now_ms, 0),
            provider=result.provider if result else None,
            attempts=parse_attempts(self.rendering["attempts"]),
            queue=self.rendering["provider"] if is_queued else None,
            position=self.rank + 1 if is_queued and self.rank is not None else None,
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


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a request: `how` is hit, new, joined, done, or repeated (the job is the first one's)."""

    how: str
    standing: Standing
    urged: str | None = None
    """The provider to be rung because somebody waits now for what was made for the cache only."""
    is_rung: bool = False
    """Whether its provider was rung for a new rendering."""

    @property
    def job_id(self) -> str:
        """The job's."""
        return self.standing.id

    @property
    def rendering_id(self) -> str:
        """That of the job's rendering."""
        return self.standing.job["rendering"]

    @property
    def job(self) -> Job:
        """The job as it stood then; takes longer than to ring for it."""
        return self.standing.describe()


class JobReader:
    """Reads jobs from the state Redis, in a few round trips however many they are.

    Every method raises `StateUnavailable` when Redis cannot be reached.

    `frozen_ms` takes the place of the server's clock; tests move time with it.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._line = Line(redis)
        self.frozen_ms: int | None = None
        self._read = load_script(redis, "shared.ledger", "read")

    def job(self, job_id: str) -> Job | None:
        """Give a job as it stands now; None when it never was or is no longer kept."""
        return self.jobs([job_id]).get(job_id)

    def await_end(self, job: Job, timeout_s: float) -> Job | None:
        """Give a job as soon as it has ended, with its audio if it has some, or as it is some time later.

        That is after `timeout_s`, at its deadline, which nobody announces, or after a few seconds: whoever
        goes on waiting calls again.
        """
        block_s = min(timeout_s, job.left_ms / 1000, _BLOCK_S)
        ends = [f"voice:end:{id_}" for id_ in (job.id, job.rendering_id)]
        waiting: Command = ("XREAD", "BLOCK", max(int(block_s * 1000), 1), "STREAMS", *ends, "0", "0")
        with state_errors():
            # Redis looks at the commands behind one that blocks at the moment when that has its answer. The
            # audio after the job: once that has succeeded, it is there.
            _, answer, audio = run_script(
                self._line,
                self._read,
                self._frozen,
                job.id,
                before=[waiting],
                after=[("GET", audio_key(job.rendering_id))],
                block_s=block_s,
            )
        for standing in self._standings([job.id], answer):
            now = standing.describe(job.request)
            return replace(now, audio=audio) if audio and now.result else now
        return None

    def jobs(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Give those of these jobs that are kept, by their IDs, as they stand now."""
        if not job_ids:
            return {}
        with state_errors():
            return {standing.id: standing.describe() for standing in self._look(job_ids)}

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
        found: list[tuple[Standing, int]] = []
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
        return [standing.describe() for standing, _ in found[:limit]], before

    def _entries(self, index: str, before: int | None, count: int) -> dict[str, int]:
        """Give job IDs with their scores, newest first."""
        newest = "+inf" if before is None else f"({before}"
        entries = self.redis.zrevrangebyscore(index, newest, "-inf", start=0, num=count, withscores=True)
        return {job_id.decode(): int(score) for job_id, score in cast("list[tuple[bytes, float]]", entries)}

    def _strike(self, index: str, expired: Iterable[str]) -> None:
        """Take out of an index what is no longer kept, so that nobody looks at it again."""
        if names := list(expired):
            self.redis.zrem(index, *names)

    def _look(self, job_ids: Sequence[str]) -> list[Standing]:
        """Give those of the jobs that are kept, in their order."""
        [answer] = run_script(self._line, self._read, self._frozen, *job_ids)
        return self._standings(job_ids, answer)

    @property
    def _frozen(self) -> str | int:
        return "" if self.frozen_ms is None else self.frozen_ms

    def _standings(self, job_ids: Sequence[str], answer: object) -> list[Standing]:
        now_ms, *standings = cast("list[Any]", answer)
        return [
            Standing.of(job_id, standing, now_ms)
            for job_id, standing in zip(job_ids, standings, strict=True)
            if standing
        ]


def audio_key(rendering: str) -> str:
    """Name the audio of a rendering that has ended well."""
    return f"voice:result:{rendering}"
