"""Who agreed to each voice sample, and which samples the store may hold: the SQL beside the store.

A sample is written down here before it is stored and struck off after it was deleted, so that one which was
left behind (by a process that died, by a store that failed) can be found.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now
from shared.personalities import PersonalityRow

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.database import Database

# Longer than storing a sample and committing it can take.
LEFT_BEHIND_AFTER = timedelta(minutes=10)


class SampleRow(Base):
    """The table. Rows stay: they say whose consent there was."""

    __tablename__ = "voice_samples"

    path: Mapped[str] = mapped_column(String(100), primary_key=True)
    personality_id: Mapped[str] = mapped_column(String(36))
    consent_key_id: Mapped[str] = mapped_column(String(36))
    """The API key that said so."""
    consented_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    """When the store held it no more."""


class Consents:
    """The table's operations; every one raises `StateUnavailable` when the database cannot be reached."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def record(self, path: str, *, personality_id: str, key_id: str) -> datetime:
        """Write down a sample that is about to be stored; gives the time."""
        now = self._clock()
        with self._database.session() as session:
            session.add(
                SampleRow(path=path, personality_id=personality_id, consent_key_id=key_id, consented_at=now)
            )
        return now

    def strike(self, path: str) -> None:
        """Write down that a sample was deleted."""
        row = update(SampleRow).where(SampleRow.path == path, SampleRow.deleted_at.is_(None))
        with self._database.session() as session:
            session.execute(row.values(deleted_at=self._clock()))

    def left_behind(self) -> tuple[str, ...]:
        """Give the paths that the store may hold although no personality speaks with them."""
        may_be_held = select(SampleRow.path).where(
            SampleRow.deleted_at.is_(None), SampleRow.consented_at < self._clock() - LEFT_BEHIND_AFTER
        )
        with self._database.session() as session:
            paths = set(session.scalars(may_be_held))
            if not paths:
                return ()
            configs = session.scalars(select(PersonalityRow.voice_config))
            in_use = {config.get("sample_path") for config in configs}
        return tuple(sorted(paths - in_use))
