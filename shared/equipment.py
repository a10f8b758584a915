"""What a provider needs besides its libraries: voices, credentials, checkpoints, as found on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a provider has here."""

    languages: frozenset[str]
    """BCP 47 tags that it speaks with it; where it has nothing here, with what it may have elsewhere."""
    problem: str | None = None
    """Why it cannot speak here, without paths, as callers elsewhere see it; None when it can."""
    remedy: str = ""
    fingerprint: str = ""
    """Changes with whatever changes its sound; part of every cache key."""
