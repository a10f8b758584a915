"""What API keys allow."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a key allows; each one allows what those above it allow."""

    SPEAK = "speak"
    """Synthesise, see its own jobs, fetch any audio by its key, read personalities and statistics."""
    MANAGE = "manage"
    """Change personalities and their voices, clear one voice's cache, pre-warm."""
    ADMIN = "admin"
    """Clear the whole cache, make and revoke keys, see everyone's jobs."""

    def allows(self, needed: Scope) -> bool:
        """Tell whether a key of this scope may do what needs that one."""
        ranks = list(Scope)
        return ranks.index(self) >= ranks.index(needed)
