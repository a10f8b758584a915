"""What every request must know of personalities and keys: held in memory, exact at once after any change.

The state Redis has a random token, the epoch; one read of it tells whether what a process holds still stands.

    voice:epoch    a token: what was loaded since it was set stands until it is replaced
                   empty: a change is under way; ask SQL and hold nothing
                   missing: whoever reads it sets a fresh one
    voice:changes  set of the changes under way

A change empties the token, commits, and sets a fresh one if no other change is under way. One that dies on
the way leaves the token empty until that expires.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import redis

from shared.connections import Line, state_errors
from shared.errors import RequestError, StateUnavailable
from shared.keys import ApiKey, ApiKeys, digest_of
from shared.last_uses import LastUses
from shared.personalities import Personalities, Personality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redis import Redis
    from redis.connection import AbstractConnection

    from shared.connections import Command
    from shared.database import Database

EPOCH_KEY = "voice:epoch"
CHANGES_KEY = "voice:changes"
# How long a front goes on with what it knows while the state Redis fails, and for how long after a failure
# it lets no request wait for another one.
STALE_S = 60.0
SILENCE_S = 0.2
# Longer than a transaction can take: connecting and a few statements up to their timeouts.
CHANGE_EXPIRY_MS = 30_000
MAX_HELD = 4096
_CHANGING = b""
_READ_TOKEN = ("GET", EPOCH_KEY)

_END = """
redis.call('SREM', KEYS[2], ARGV[1])
if redis.call('SCARD', KEYS[2]) == 0 then redis.call('SET', KEYS[1], ARGV[2]) end
"""

T = TypeVar("T")


class Changes:
    """Tells every process of a change in SQL, around the transaction that makes it."""

    def __init__(self, redis: Redis, *, expiry_ms: int = CHANGE_EXPIRY_MS) -> None:
        self._redis = redis
        self._expiry_ms = expiry_ms
        self._end_script = redis.register_script(_END)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Enclose a transaction, its commit included; once this has ended, nobody serves what was before.

        A block that a `RequestError` ends has changed nothing. After any other error the commit may have come
        through or not, or may still do so on the server: the token stays empty until it expires.

        Raises:
            StateUnavailable: Redis failed; before the block nothing happened, after it the change stands.
        """
        change = _fresh_token()
        self._begin(change)
        try:
            yield
        except RequestError:
            self._end(change)
            raise
        self._end(change)

    def _begin(self, change: str) -> None:
        with state_errors(), self._redis.pipeline() as pipe:
            pipe.sadd(CHANGES_KEY, change)
            pipe.pexpire(CHANGES_KEY, self._expiry_ms)
            pipe.set(EPOCH_KEY, _CHANGING, px=self._expiry_ms)
            pipe.execute()

    def _end(self, change: str) -> None:
        with state_errors():
            self._end_script(keys=[EPOCH_KEY, CHANGES_KEY], args=[change, _fresh_token()])


class Directory:
    """One process's view of the personalities and keys; threads may share it."""

    def __init__(
        self, database: Database, redis: Redis, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._line = Line(redis, on_connect=self._note_server)
        self._packed = self._line.pack(_READ_TOKEN)
        self._server: bytes | None = None
        self._era_lock = Lock()
        self._era = 0
        self._last_epoch = _CHANGING
        self._last_read_at = self._silent_until = float("-inf")
        changes = Changes(redis)
        self._personalities = Personalities(database, changes)
        self._keys = ApiKeys(database, changes)
        self.last_uses = LastUses(database)
        self._held_personalities = _Held[Personality]()
        self._held_keys = _Held[ApiKey]()

    def read_epoch(self) -> bytes:
        """Give what the other methods need; read it once a request, before them.

        Raises:
            StateUnavailable: Redis failed. After it kept one waiting, those who ask within the next moment
                are told so at once.
        """
        return self.read_epoch_with()[0]

    def read_epoch_with(self, *commands: Command) -> tuple[bytes, list[Any]]:
        """Give the epoch, and what Redis answers to other commands in the same round trip.

        Raises what `read_epoch` raises, also where one of the commands is refused.
        """
        if self._clock() < self._silent_until:
            raise StateUnavailable("The state Redis failed a moment ago; try again.")
        try:
            token, answers = self._current_token(commands)
        except StateUnavailable as error:
            if not isinstance(error.__cause__, redis.ResponseError):
                self._begin_era()
            if isinstance(error.__cause__, redis.TimeoutError):
                self._silent_until = self._clock() + SILENCE_S
            raise
        # What was held before Redis failed does not stand after it, whatever the token: a change may be lost.
        epoch = token and b"%b %d" % (token, self._era)
        self._last_epoch, self._last_read_at = epoch, self._clock()
        for held in (self._held_personalities, self._held_keys):
            held.enter(epoch)
        return epoch, answers

    def recent_epoch(self) -> bytes:
        """Give the epoch that was read last, for those who serve from memory while Redis fails.

        No change can return while Redis is down; where only this process cannot reach it, a change is seen
        here `STALE_S` later at most.

        Raises:
            StateUnavailable: the last one was read longer ago than that.
        """
        if self._clock() - self._last_read_at > STALE_S:
            raise StateUnavailable
        return self._last_epoch

    def personality(self, epoch: bytes, personality_id: str | None) -> Personality:
        """Give one (None is the default) as it stands, active or not.

        Raises:
            NotFound: there is none with this ID.
            StateUnavailable: it is not held, and the database cannot be reached.
        """
        load = (
            self._personalities.default
            if personality_id is None
            else partial(self._personalities.get, personality_id)
        )
        return self._held_personalities.get(epoch, personality_id, load)

    def authenticate(self, epoch: bytes, secret: str) -> ApiKey:
        """Give the key of this secret, and note that it is used.

        Raises:
            Unauthorized: there is none, or it was revoked or has expired.
            StateUnavailable: it is not held, and the database cannot be reached.
        """
        key = self._held_keys.get(epoch, digest_of(secret), lambda: self._keys.authenticate(secret))
        key.check_expiry()
        self.last_uses.note(key.id)
        return key

    def _current_token(self, commands: Sequence[Command]) -> tuple[bytes, list[Any]]:
        with state_errors():
            try:
                token, *answers = self._read(commands)
            except redis.ConnectionError:  # the server was started again
                token, *answers = self._read(commands)
            if token is None:
                fresh = _fresh_token()
                token = fresh.encode() if self._redis.set(EPOCH_KEY, fresh, nx=True) else _CHANGING
            return token, answers

    def _read(self, commands: Sequence[Command]) -> list[Any]:
        packed = self._line.pack(_READ_TOKEN, *commands) if commands else self._packed
        self._line.forget()  # what a request left unread that was interrupted
        self._line.send(packed, 1 + len(commands))
        return self._line.read()

    def _note_server(self, connection: AbstractConnection) -> None:
        """Begin a new era if this is another server process than before, which may lack the last changes."""
        connection.send_command("INFO", "server", check_health=False)
        try:
            server = _run_id(connection.read_response())
        except redis.ResponseError:
            server = None
        if server is None or server != self._server:
            self._server = server
            self._begin_era()

    def _begin_era(self) -> None:
        with self._era_lock:
            self._era += 1


class _Held(Generic[T]):
    """What was loaded under the last epoch seen, the entries used last; what was not found is not held."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._epoch = _CHANGING
        self._entries: OrderedDict[str | None, T] = OrderedDict()

    def enter(self, epoch: bytes) -> None:
        """Drop what is held, unless it is of this epoch."""
        with self._lock:
            if epoch != self._epoch:
                self._epoch = epoch
                self._entries.clear()

    def get(self, epoch: bytes, name: str | None, load: Callable[[], T]) -> T:
        """Give the entry, loaded unless it is held; `epoch` must have been read before."""
        with self._lock:
            if epoch == self._epoch and name in self._entries:
                self._entries.move_to_end(name)
                return self._entries[name]
        entry = load()
        with self._lock:
            if epoch == self._epoch and epoch != _CHANGING:
                self._entries[name] = entry
                if len(self._entries) > MAX_HELD:
                    self._entries.popitem(last=False)
        return entry


def _fresh_token() -> str:
    return secrets.token_urlsafe(16)


def _run_id(info: object) -> bytes | None:
    """Find the ID in the answer to INFO; None where it does not tell."""
    found = re.search(rb"^run_id:(\w+)", info, re.MULTILINE) if isinstance(info, bytes) else None
    return found and found[1]
