"""Changes of a personality, for `Personalities.change`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.personalities import Personality


def setting(**fields: Any) -> Callable[[Personality], Personality]:
    """Give the edit that sets these fields."""
    return lambda personality: replace(personality, **fields)
