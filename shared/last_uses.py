"""When each API key was used last: noted in memory, written to SQL behind the requests.

A request pays no statement for it. Each process writes once a minute, one row a key that was used, and once
more when it ends; so `last_used_at` is up to a minute behind, and a process that is killed takes the last
minute with it.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import bindparam, or_, update

from shared.errors import StateUnavailable
from shared.keys import KeyRow

if TYPE_CHECKING:
    from shared.database import Database

INTERVAL_S = 60.0

# Processes write at their own times: the row keeps the latest.
_WRITE = (
    update(KeyRow.__table__)  # type: ignore[arg-type]  # a declared table is one
    .where(KeyRow.id == bindparam("key_id"))
    .where(or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < bindparam("used_at")))
    .values(last_used_at=bindparam("used_at"))
)

log = structlog.get_logger()


class LastUses:
    """One process's notes of who asked when; threads may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """Remember that the key is used now."""
        with self._lock:
            self._noted[key_id] = time()

    def start(self) -> None:
        """Begin to write every minute, and once more when the process ends."""
        threading.Thread(target=self._run, name="last-uses").start()

    def _run(self) -> None:
        # Not a daemon: Python waits for it after the main thread has ended, also in a multiprocessing child.
        main = threading.main_thread()
        while main.is_alive():
            main.join(INTERVAL_S)
            self.flush()

    def flush(self) -> None:
        """Write what was noted; what the database does not take now is kept for the next time."""
        with self._lock:
            noted, self._noted = self._noted, {}
        if not noted:
            return
        # In one order, or two processes could wait for one another's rows.
        rows = [{"key_id": key, "used_at": datetime.fromtimestamp(noted[key], UTC)} for key in sorted(noted)]
        try:
            with self._database.session() as session:
                session.connection().execute(_WRITE, rows)
        except StateUnavailable as error:
            log.warning("last_uses_not_written", code=error.code)
            with self._lock:
                self._noted = noted | self._noted
