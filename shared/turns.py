"""Whose turn it is to speak: the first of a chain that has not failed and can take work now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.ledger.attempts import Attempt
    from shared.presence import RollCall

# How often a provider may lose an utterance (its process died) before the next provider is asked.
LOSSES_PER_PROVIDER = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """Who speaks next."""

    provider: str
    can_speak: bool
    """Whether it can take work; if not, nobody who is left can, and it is waited for."""
    passed_over: tuple[Attempt, ...] = ()
    """Those before it that could not, unless the attempts tell so already."""


def next_turn(chain: Sequence[str], attempts: Sequence[Attempt], roll_call: RollCall) -> Turn | None:
    """Give whose turn it is after these attempts; None when all have failed.

    A provider has failed when it reported so once, or was lost `LOSSES_PER_PROVIDER` times.
    """
    hopeful = [name for name in chain if not _has_failed(name, attempts)]
    passed_over: list[Attempt] = []
    for name in hopeful:
        obstacle = roll_call.obstacle(name)
        if obstacle is None:
            return Turn(name, can_speak=True, passed_over=tuple(passed_over))
        if all((attempt.provider, attempt.code) != (name, obstacle) for attempt in attempts):
            passed_over.append(roll_call.told(name, obstacle))
    return Turn(hopeful[0], can_speak=False) if hopeful else None


def _has_failed(provider: str, attempts: Sequence[Attempt]) -> bool:
    codes = [attempt.code for attempt in attempts if attempt.provider == provider and attempt.was_tried]
    return codes.count("worker_lost") >= LOSSES_PER_PROVIDER or any(code != "worker_lost" for code in codes)
