"""Dashboard sessions: a printed URL's one-time code becomes a cookie. Redis holds digests only."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from shared.connections import state_errors

if TYPE_CHECKING:
    from redis import Redis

CODE_TTL_S = 24 * 3600
SESSION_TTL_S = 30 * 24 * 3600


def issue_code(redis: Redis) -> str:
    """Make a code that opens one session within a day.

    Raises:
        StateUnavailable: Redis failed.
    """
    code = secrets.token_urlsafe(32)
    with state_errors():
        redis.set(_key("code", code), 1, ex=CODE_TTL_S)
    return code


def exchange(redis: Redis, code: str) -> str | None:
    """Give the token of a new session of 30 days; None when the code was used, has expired or never was.

    Raises:
        StateUnavailable: Redis failed.
    """
    token = secrets.token_urlsafe(32)
    with state_errors():
        # Asked first, because a server that hangs carries out later what a client has given up by then.
        if not redis.exists(_key("code", code)):
            return None
        with redis.pipeline() as both:
            both.getdel(_key("code", code))
            both.set(_key("session", token), 1, ex=SESSION_TTL_S)
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
        return bool(redis.exists(_key("session", token)))


def _key(kind: str, secret: str) -> str:
    return f"voice:{kind}:{hashlib.sha256(secret.encode()).hexdigest()}"
