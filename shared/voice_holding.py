"""Asks the workers that clone to hold or drop a voice, and tells whether they did."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal, Self

from shared.connections import state_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from redis import Redis

    from shared.presence import Presence, Worker

CHANNEL = "voice:holding"

# A first conditioning on a CPU takes seconds, behind a synthesis under way.
PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.1
# Whoever was not connected a moment ago hears it then; doing it twice is harmless.
_ASK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to become of a voice in the memory of some providers' workers."""

    what: Literal["hold", "drop"]
    sample_id: str
    providers: list[str]

    def to_json(self) -> str:
        """Encode for the channel."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Decode what `to_json` wrote."""
        return cls(**json.loads(text))


class VoiceHolding:
    """Wishes by a channel of the state Redis; what came of them by the workers' heartbeats.

    A voice is a sample's, so that a new sample makes another voice, which nobody holds yet.
    """

    def __init__(self, redis: Redis, presence: Presence, *, patience_s: float = PATIENCE_S) -> None:
        self._redis = redis
        self._presence = presence
        self._patience_s = patience_s

    def held(self, sample_id: str, providers: Collection[str]) -> dict[str, bool]:
        """Tell of each provider whether every worker of it, and one at least, holds the voice now.

        Raises:
            StateUnavailable: Redis failed.
        """
        workers = self._workers(providers)
        return _done_by(workers, providers, lambda worker: sample_id in worker.voices)

    def hold(self, sample_id: str, providers: Collection[str]) -> dict[str, bool]:
        """Have the voice held; tell the same as `held`.

        Raises:
            StateUnavailable: Redis failed.
        """
        wish = Wish("hold", sample_id, sorted(providers))
        return self._wait(wish, lambda worker: sample_id in worker.voices)

    def drop(self, sample_id: str, providers: Collection[str]) -> dict[str, bool]:
        """Tell of each provider whether a worker of it held the voice, and none does any more.

        Raises:
            StateUnavailable: Redis failed.
        """
        holding = {worker.provider for worker in self._workers(providers) if sample_id in worker.voices}
        wish = Wish("drop", sample_id, sorted(holding))
        done = self._wait(wish, lambda worker: sample_id not in worker.voices)
        return {provider: done.get(provider, False) for provider in providers}

    def _workers(self, providers: Collection[str]) -> list[Worker]:
        names = set(providers)
        return [worker for worker in self._presence.workers() if worker.provider in names]

    def _wait(self, wish: Wish, is_done: Callable[[Worker], bool]) -> dict[str, bool]:
        """Ask, and look until every live worker has done it or nobody has patience any more."""
        until_s = time.monotonic() + self._patience_s
        asked_s = float("-inf")
        while True:
            workers = self._workers(wish.providers)
            now_s = time.monotonic()
            if all(map(is_done, workers)) or now_s > until_s:
                return _done_by(workers, wish.providers, is_done)
            if now_s - asked_s > _ASK_EVERY_S:
                with state_errors():
                    self._redis.publish(CHANNEL, wish.to_json())
                asked_s = now_s
            time.sleep(_LOOK_EVERY_S)


def _done_by(
    workers: Iterable[Worker], providers: Collection[str], is_done: Callable[[Worker], bool]
) -> dict[str, bool]:
    """Tell of each provider whether it has a worker, and each has done it."""
    return {
        name: bool(mine) and all(map(is_done, mine))
        for name in providers
        for mine in [[worker for worker in workers if worker.provider == name]]
    }
