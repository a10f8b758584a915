"""Dashboard sessions: a printed URL's one-time code becomes a cookie. Redis holds digests only.

A code or a session is good in the era in which it was made; to end them all is to begin another.

voice:code:{digest}     era of a code that was not used yet
voice:session:{digest}  era of a session
voice:sessions:era      counter; missing in the first one
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, cast

from shared.connections import state_errors

if TYPE_CHECKING:
    from redis import Redis

_ERA = "voice:sessions:era"
CODE_TTL_S = 24 * 3600
SESSION_TTL_S = 30 * 24 * 3600


def issue_code(redis: Redis) -> str:
    """Make a code that opens one session within a day.

    Raises:
        StateUnavailable: Redis failed.
    """
    code = secrets.token_urlsafe(32)
    with state_errors():
        redis.set(_key("code", code), _era(redis), ex=CODE_TTL_S)
    return code


def exchange(redis: Redis, code: str) -> str | None:
    """Give the token of a new session of 30 days; None when the code was used, has expired or never was.

    Raises:
        StateUnavailable: Redis failed.
    """
    token = secrets.token_urlsafe(32)
    with state_errors():
        # Asked first, because a server that hangs carries out later what a client has given up by then.
        era = _era(redis)
        if redis.get(_key("code", code)) != era:
            return None
        with redis.pipeline() as both:
            both.getdel(_key("code", code))
            both.set(_key("session", token), era, ex=SESSION_TTL_S)
            was_there, _ = both.execute()
        if was_there is None:
            redis.delete(_key("session", token))
            return None
    return token


def is_open(redis: Redis, token: str) -> bool:
    """Tell whether a session has this token.

    Raises:
        StateUnavailable: Redis failed.
    """
    with state_errors():
        return redis.get(_key("session", token)) == _era(redis)


def end_all(redis: Redis) -> None:
    """End every session, and make void every code that was not used yet.

    Raises:
        StateUnavailable: Redis failed.
    """
    with state_errors():
        redis.incr(_ERA)


def _era(redis: Redis) -> bytes:
    return cast("bytes | None", redis.get(_ERA)) or b"0"


def _key(kind: str, secret: str) -> str:
    return f"voice:{kind}:{hashlib.sha256(secret.encode()).hexdigest()}"
