"""What a request for speech begins with, in one round trip: whether what is held stands, who can speak."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from redis.exceptions import NoScriptError

from shared.connections import Trip
from shared.directory import EPOCH_KEY
from shared.presence import ROLL_CALL, RollCall, roll_call_command

if TYPE_CHECKING:
    from typing import Any

    from redis import Redis

    from shared.directory import Directory


class Glance:
    """`Directory.read_epoch` and `Presence.roll_call` together; threads may share it.

    It can be begun before it is needed, so that nobody waits for Redis while there is something else to do.
    """

    def __init__(self, redis: Redis, directory: Directory) -> None:
        self._redis = redis
        self._directory = directory
        self._trip = Trip(redis, ("GET", EPOCH_KEY), roll_call_command(redis))

    def begin(self) -> None:
        """Ask, for a `take` of this thread that comes a moment later."""
        self._trip.begin()

    def take(self) -> tuple[bytes, RollCall]:
        """Give the epoch and the roll call.

        Raises what `Directory.read_epoch` raises.
        """
        answers: list[Any] = []

        def read_token() -> bytes | None:
            try:
                answers[:] = self._trip.take()
            except NoScriptError:
                self._redis.script_load(ROLL_CALL)
                answers[:] = self._trip.take()
            return cast("bytes | None", answers[0])

        epoch = self._directory.read_epoch(read_token)
        return epoch, RollCall.of(answers[1])
