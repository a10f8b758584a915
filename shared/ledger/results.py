"""The audio that renderings gave, kept beside their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from shared.connections import state_errors
from shared.ledger.reading import JobReader, audio_key
from shared.usage import STREAM

if TYPE_CHECKING:
    from redis import Redis

    from shared.usage import Usage


class ResultStore(JobReader):
    """Results in the state Redis. Every method raises `StateUnavailable` when that cannot be reached."""

    def __init__(self, redis: Redis, *, job_ttl_ms: int) -> None:
        super().__init__(redis)
        self._ttl_ms = job_ttl_ms

    def note_usage(self, usage: Usage) -> None:
        """Write down what an attempt used that has nothing to tell the ledger any more."""
        with state_errors():
            self.redis.xadd(STREAM, {"usage": usage.to_json()})

    def keep_audio(self, rendering: str, data: bytes) -> None:
        """Keep the audio of a rendering that has ended, for a job's time to live from now."""
        with state_errors():
            if not self.redis.pexpire(audio_key(rendering), self._ttl_ms):
                self.redis.set(audio_key(rendering), data, px=self._ttl_ms)

    def audio(self, rendering: str) -> bytes | None:
        """Give the audio of a rendering that has one."""
        with state_errors():
            return cast("bytes | None", self.redis.get(audio_key(rendering)))
