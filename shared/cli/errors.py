"""What ends a command with one line instead of a traceback."""

from __future__ import annotations

from shared.errors import VoicefarmError


class CannotStart(VoicefarmError):
    """The farm cannot start here."""

    code = "cannot_start"


class EndedTooSoon(CannotStart):
    """A command ended before it was ready."""

    def __init__(self, name: str, fate: str) -> None:
        self.fate = fate
        super().__init__(f"{name} {fate} before it was ready")
