"""What must be there for the farm to serve: one check a part, each with what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from shared.errors import NoProvider, StateUnavailable, VoicefarmError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.farm import Farm


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `problem` is None where all is well."""

    part: str
    problem: str | None
    remedy: str = ""
    is_needed: bool = True
    """Whether the farm cannot serve without it."""

    def __str__(self) -> str:
        return f"{self.part}: {self.problem} {self.remedy}"


def examine(farm: Farm) -> list[Finding]:
    """Check every part that the farm cannot serve without."""
    return [_check(part, check, remedy, farm) for part, check, remedy in _CHECKS]


def _check(part: str, check: Callable[[Farm], None], remedy: str, farm: Farm) -> Finding:
    try:
        check(farm)
    except VoicefarmError as error:
        return Finding(part, error.detail.rstrip(".") + ".", remedy)
    except (redis.RedisError, OSError):
        return Finding(part, "It does not answer.", remedy)
    return Finding(part, None, remedy)


def _state(farm: Farm) -> None:
    policy = farm.state.info("memory").get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        raise StateUnavailable(f"Its maxmemory-policy is {policy}, which loses jobs when memory runs short.")


def _audio(farm: Farm) -> None:
    farm.cache.ping()


def _broker(farm: Farm) -> None:
    farm.doorbell.ping()


def _database(farm: Farm) -> None:
    farm.database.ping()


def _workers(farm: Farm) -> None:
    roll_call = farm.presence.roll_call()
    if not any(map(roll_call.has_worker, farm.router.enabled)):
        raise NoProvider(f"No worker is running for {', '.join(sorted(farm.router.enabled))}.")


_CHECKS: tuple[tuple[str, Callable[[Farm], None], str], ...] = (
    (
        "state Redis",
        _state,
        "Start it, or set VOICEFARM_STATE_URL; it must have maxmemory-policy noeviction.",
    ),
    ("audio Redis", _audio, "Start it, or set REDIS_HOST and REDIS_PORT."),
    ("broker", _broker, "Start it, or set CELERY_BROKER_URL."),
    ("database", _database, "Start it, or set DATABASE_URL; then run 'voicefarm migrate'."),
    ("workers", _workers, "Start a worker pool; the Procfile has one line for each."),
)
