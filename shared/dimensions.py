"""By what usage is told."""

from __future__ import annotations

from enum import StrEnum


class Dimension(StrEnum):
    """What a report can be broken down by."""

    DAY = "day"
    """Of UTC."""
    PROVIDER = "provider"
    PERSONALITY = "personality"
