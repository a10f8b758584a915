"""Moves usage from the outbox to SQL, behind the syntheses."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.dialects import postgresql, sqlite

from shared.errors import VoicefarmError
from shared.usage.table import SynthesisRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.database import Database
    from shared.usage.outbox import Entry, Outbox

# What comes within so long goes together, farm-wide.
TURN_S = 0.2
# How often a process looks for what others left, who died.
INTERVAL_S = 10.0
RETRY_S = 5.0

# Both know rows that are there already, and neither shares the other's way to say so.
_INSERT = {
    dialect: insert(SynthesisRow).on_conflict_do_nothing()
    for dialect, insert in (("postgresql", postgresql.insert), ("sqlite", sqlite.insert))
}

log = structlog.get_logger()


class UsageWriter:
    """One process's thread that moves usage to SQL; any number of processes may do so at once."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox
        self._insert = _INSERT[database.engine.dialect.name]
        self._woken = threading.Event()

    def start(self) -> None:
        """Begin, with what earlier processes left; the thread ends with the process."""
        self.wake()
        threading.Thread(target=self._run, name="usage-writer", daemon=True).start()

    def wake(self) -> None:
        """Say that there is something in the outbox."""
        self._woken.set()

    def _run(self) -> None:
        while True:
            if self._woken.wait(INTERVAL_S):
                time.sleep(TURN_S)
                self._woken.clear()
            try:
                if self._outbox.take_turn(round(TURN_S * 1000)):
                    self.once()
                else:
                    self.wake()  # whoever has the turn may have looked before this process wrote
            except VoicefarmError as error:
                log.warning("usage_not_written", code=error.code, detail=error.detail)
                time.sleep(RETRY_S)
                self.wake()

    def once(self) -> None:
        """Move everything that there is, a batch a transaction.

        An entry is struck after its row was committed, and a row that is there already stays as it is:
        whatever ends this on its way, nothing is lost and nothing counted twice.

        Raises:
            StateUnavailable: Redis or the database cannot be reached; what was not moved is there still.
        """
        for entries in self._outbox.batches():
            rows = _rows(entries)
            if rows:
                with self._database.session() as session:
                    session.connection().execute(self._insert, rows)
            self._outbox.strike([entry for entry in entries if entry.usage])
            if len(rows) < len(entries):
                log.warning("usage_not_understood", entries=len(entries) - len(rows))


def _rows(entries: Sequence[Entry]) -> list[dict[str, object]]:
    return [
        {
            "rendering_id": usage.rendering_id,
            "attempt": usage.attempt,
            "provider": usage.provider,
            "personality_id": usage.personality_id,
            "at": entry.at,
            "day": entry.at.date(),
            "characters": usage.characters,
            "audio_ms": usage.audio_ms,
            "compute_ms": usage.compute_ms,
            "cost_usd": usage.cost_usd,
        }
        for entry in entries
        if (usage := entry.usage)
    ]
