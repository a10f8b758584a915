"""Redis clients: impatient ones for the front, patient ones for the workers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import redis
import structlog
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from shared.errors import StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis.connection import ConnectionInterface

# A front must answer within a second although Redis hangs.
FRONT_TIMEOUT_S = 0.5
# For replies of megabytes, of which many may be under way.
AUDIO_TIMEOUT_S = 1.0
WORKER_TIMEOUT_S = 5.0
# About a minute of tries, so that a worker carries its result over a restart of Redis.
WORKER_RETRIES = 30

log = structlog.get_logger()


def front_client(url: str, timeout_s: float = FRONT_TIMEOUT_S) -> redis.Redis:
    """Make a client that fails soon; opens no connection yet.

    It tries once more where a connection was lost, as after the server's restart, but not after a timeout.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=FRONT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def worker_client(url: str, *, retries: int = WORKER_RETRIES) -> redis.Redis:
    """Make a client that outlasts a restart of the server; opens no connection yet."""
    return redis.Redis.from_url(
        url,
        socket_timeout=WORKER_TIMEOUT_S,
        socket_connect_timeout=WORKER_TIMEOUT_S,
        socket_keepalive=True,
        retry=Retry(ExponentialBackoff(cap=2.0, base=0.05), retries),
        retry_on_error=[redis.BusyLoadingError],
    )


def reader_client(url: str, block_s: float) -> redis.Redis:
    """Make a client for commands that block up to `block_s` seconds."""
    return redis.Redis.from_url(
        url,
        protocol=2,  # replies have one shape: a list of (stream, entries)
        socket_timeout=block_s + 1,
        socket_connect_timeout=FRONT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        socket_keepalive=True,
    )


def own_connection(client: redis.Redis) -> ConnectionInterface:
    """Make a connection to a client's server that its pool neither counts nor gives to anybody else."""
    pool = client.connection_pool
    return cast("ConnectionInterface", pool.connection_class(**pool.connection_kwargs))


class Trip:
    """The same commands at every call, in one round trip with as little around it as redis-py allows.

    A thread has a connection of its own. A client's own call, with its pool and retries, takes twice as long.
    """

    def __init__(self, client: redis.Redis, *commands: tuple[str | int, ...]) -> None:
        self._client = client
        self._packed = own_connection(client).pack_commands(commands)
        self._count = len(commands)
        self._own = threading.local()

    def take(self) -> list[Any]:
        """Give the answers.

        Raises:
            redis.ConnectionError: there is no connection any more; the next call makes a new one.
            redis.RedisError: one of the commands failed.
        """
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = own_connection(self._client)
        connection.send_packed_command(self._packed, check_health=False)
        answers, refusals = [], []
        for _ in range(self._count):  # all of them, so that none is left for the next call
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]
        return answers


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn redis-py's errors into the farm's.

    Raises:
        StateUnavailable: the server cannot be reached, is too slow, or refuses writes because it is full.
    """
    try:
        yield
    except redis.RedisError as error:
        log.warning("redis_failed", error=type(error).__name__)
        raise StateUnavailable("The state Redis failed; try again.") from error
