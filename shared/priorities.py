"""How much hurry there is; a provider has one queue for each."""

from __future__ import annotations

from enum import StrEnum


class Priority(StrEnum):
    """A rendering's, most urgent first: a worker takes one of the second when none of the first waits."""

    INTERACTIVE = "interactive"
    """Somebody asked for it."""
    PREWARM = "prewarm"
    """It is made for the cache, so that nobody has to wait later."""

    def queue(self, provider: str) -> str:
        """Name a provider's queue, at the broker and in the ledger; the interactive one has its name."""
        return provider if self is Priority.INTERACTIVE else f"{provider}.{self}"
