"""Redis clients, impatient ones for the front, patient ones for the workers; a thread's own line to Redis."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import redis
import structlog
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from shared.errors import StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis.connection import AbstractConnection

# A front must answer within a second although Redis hangs.
FRONT_TIMEOUT_S = 0.5
# For replies of megabytes, of which many may be under way.
AUDIO_TIMEOUT_S = 1.0
WORKER_TIMEOUT_S = 5.0
# About a minute of tries, so that a worker carries its result over a restart of Redis.
WORKER_RETRIES = 30

Command: TypeAlias = tuple[str | int | float | bytes, ...]

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


def own_connection(client: redis.Redis) -> AbstractConnection:
    """Make a connection to a client's server that its pool neither counts nor gives to anybody else."""
    pool = client.connection_pool
    return cast("AbstractConnection", pool.connection_class(**pool.connection_kwargs))


@dataclass(slots=True)
class _End:
    """A thread's end of a line."""

    connection: AbstractConnection
    pid: int
    unread: int = 0

    def hang_up(self) -> None:
        self.connection.disconnect()
        self.unread = 0


class Line:
    """A client's server over a connection of the thread's own, with as little around it as redis-py allows.

    A client's own call takes 60 µs longer, and its answer is waited for at once. After a `ConnectionError`
    the next call connects anew; some time after a thread has ended, its connection is closed.

    Every method raises redis-py's errors.
    """

    def __init__(
        self, client: redis.Redis, *, on_connect: Callable[[AbstractConnection], None] | None = None
    ) -> None:
        """Connect nothing yet; `on_connect` is called with each connection that was made, and may ask it."""
        self._client = client
        self._on_connect = on_connect
        self._packer = own_connection(client)  # is never opened
        self._own = threading.local()

    def pack(self, *commands: Command) -> list[bytes]:
        """Encode commands."""
        return cast("list[bytes]", self._packer.pack_commands(commands))

    def send(self, packed: list[bytes], count: int) -> None:
        """Send so many commands; their answers are for this thread to `read`, after those sent before."""
        end = self._end()
        try:
            end.unread += count
            if not end.connection.is_connected:
                # Whoever sends knows whether to try again.
                end.connection.connect_check_health(check_health=False, retry_socket_connect=False)
                if self._on_connect:
                    self._on_connect(end.connection)
            end.connection.send_packed_command(packed, check_health=False)
        except BaseException:
            end.hang_up()
            raise

    def read(self, block_s: float = 0.0) -> list[Any]:
        """Give the answers to all that was sent; each may take as much longer as a command of them blocks.

        Raises:
            redis.ResponseError: one was refused; that a script is not known is told first.
        """
        end = self._end()
        answers, refusals = [], []
        timeout_s = end.connection.socket_timeout
        patience = {"timeout": timeout_s + block_s} if timeout_s and block_s else {}
        try:
            while end.unread:  # all of them, so that none is left for the next call
                try:
                    answers.append(end.connection.read_response(**patience))
                except redis.ResponseError as error:
                    refusals.append(error)
                end.unread -= 1
        except BaseException:
            end.hang_up()
            raise
        if refusals:
            raise min(refusals, key=lambda error: not isinstance(error, NoScriptError))
        return answers

    def ask(self, *commands: Command, block_s: float = 0.0) -> list[Any]:
        """Send commands and give their answers; it is tried again as the client would.

        Those that block, up to `block_s` seconds, are not: only who waits knows how much time is left.
        """
        packed = self.pack(*commands)

        def once() -> list[Any]:
            self.forget()
            self.send(packed, len(commands))
            return self.read(block_s)

        return once() if block_s else self._packer.retry.call_with_retry(once, lambda _: None)

    def hang_up(self) -> None:
        """Close this thread's connection; the next call makes another."""
        self._end().hang_up()

    def forget(self) -> None:
        """Take off the line what this thread has sent and not read."""
        with suppress(redis.ResponseError):
            self.read()

    def _end(self) -> _End:
        end: _End | None = getattr(self._own, "end", None)
        if end is None or end.pid != os.getpid():  # a fork's connection is its parent's
            end = self._own.end = _End(own_connection(self._client), os.getpid())
        return end


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
