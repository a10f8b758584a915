"""Who may speak: the table of personalities."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  SQLAlchemy reads the annotations
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, CheckConstraint, Index, String, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now
from shared.errors import Conflict, NotFound
from shared.voice_config import VoiceConfig, VoiceSettings
from shared.voices import Gender

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from shared.database import Database
    from shared.directory import Changes


@dataclass(frozen=True, slots=True)
class Personality:
    """A personality as it was when it was read."""

    id: str
    name: str
    personality_name: str
    is_active: bool
    is_default: bool
    language: str
    voice_config: VoiceConfig
    voice_revision: int
    """Moves with every change of `voice_config`; part of the cache key."""
    created_at: datetime
    updated_at: datetime

    @property
    def has_sample(self) -> bool:
        """Tell whether a provider can clone its voice."""
        return self.voice_config.sample_path is not None


class PersonalityRow(Base):
    """The table. At most one default is the database's care, at least one ours: none may leave the post."""

    __tablename__ = "ai_personalities"
    __table_args__ = (
        CheckConstraint("is_active OR NOT is_default", name="default_is_active"),
        Index(
            "one_default_personality",
            "is_default",
            unique=True,
            sqlite_where=text("is_default"),
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    personality_name: Mapped[str] = mapped_column(String(200))
    is_active: Mapped[bool] = mapped_column(default=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str] = mapped_column(String(35), default="en")
    voice_config: Mapped[dict[str, Any]] = mapped_column(JSON().with_variant(JSONB(), "postgresql"))
    voice_revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)

    def record(self) -> Personality:
        """Give the row as the rest of the farm sees it."""
        return Personality(
            id=self.id,
            name=self.name,
            personality_name=self.personality_name,
            is_active=self.is_active,
            is_default=self.is_default,
            language=self.language,
            # Strict was the check when it came in; JSON has neither tuples nor times.
            voice_config=VoiceConfig.model_validate(self.voice_config, strict=False),
            voice_revision=self.voice_revision,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class Personalities:
    """The table's operations. A change returns when no reader can see what was before it.

    Every method raises `StateUnavailable` when the database, or for a change Redis, cannot be reached.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    def get(self, personality_id: str) -> Personality:
        """Give one, active or not.

        Raises:
            NotFound: there is none with this ID.
        """
        with self._database.session() as session:
            return _row(session, personality_id).record()

    def default(self) -> Personality:
        """Give the one that speaks when a request names none.

        Raises:
            NotFound: the table is empty.
        """
        with self._database.session() as session:
            row = session.scalar(select(PersonalityRow).where(PersonalityRow.is_default))
            if row is None:
                raise NotFound("There is no default personality; run 'voicefarm migrate'.")
            return row.record()

    def list(self) -> tuple[Personality, ...]:
        """Give all, by name."""
        with self._database.session() as session:
            everyone = [row.record() for row in session.scalars(select(PersonalityRow))]
        # Sorted here, because every database has an order of its own.
        return tuple(sorted(everyone, key=lambda personality: personality.name))

    def voice_revisions(self) -> dict[str, int | None]:
        """Give everyone's voice revision by ID; None where one is not active."""
        columns = select(PersonalityRow.id, PersonalityRow.is_active, PersonalityRow.voice_revision)
        with self._database.session() as session:
            return {row.id: row.voice_revision if row.is_active else None for row in session.execute(columns)}

    def seed_examples(self) -> None:
        """Put the three examples into an empty table; what was deleted later stays deleted."""
        quicker = suppress(Conflict)  # another process that starts at the same time
        with quicker, self._changes.around(), self._database.session() as session:
            if session.scalar(select(func.count()).select_from(PersonalityRow)) == 0:
                session.add_all(_examples())

    def add(self, personality: Personality) -> None:
        """Let one more speak; as the new default it takes the place of the one before.

        Raises:
            Conflict: the name is taken, or it is to be an inactive default.
        """
        _check_default(personality)
        with self._changes.around(), self._database.session() as session:
            _check_name(session, personality)
            if personality.is_default:
                _vacate_default(session)
            session.add(
                PersonalityRow(
                    id=personality.id,
                    created_at=personality.created_at,
                    updated_at=personality.updated_at,
                    **_columns(personality),
                )
            )

    def change(
        self, personality_id: str, edit: Callable[[Personality], Personality]
    ) -> tuple[Personality, Personality]:
        """Change one into what `edit` makes of it; gives it as it was and as it is.

        Changes of one personality happen one after the other, each on what the one before left. The voice
        revision moves when `voice_config` does, so that audio of before is not found again.

        Raises:
            NotFound: there is none with this ID.
            Conflict: the name is taken; or the default would be inactive, or nobody the default.

        What `edit` raises leaves everything as it was.
        """
        with self._changes.around(), self._database.session() as session:
            row = _locked_row(session, personality_id)
            before = row.record()
            after = edit(before)
            if before.is_default and not (after.is_default and after.is_active):
                raise Conflict(_keeps_the_post(before))
            _check_default(after)
            _check_name(session, after)
            if after.is_default and not before.is_default:
                _vacate_default(session)
            for name, value in _columns(after).items():
                if value != getattr(row, name):
                    setattr(row, name, value)
            if after.voice_config != before.voice_config:
                row.voice_revision = PersonalityRow.voice_revision + 1
            session.flush()
            return before, row.record()

    def remove(self, personality_id: str, check: Callable[[Personality], None]) -> Personality:
        """Delete one, unless `check` raises; gives it as it was.

        Raises:
            NotFound: there is none with this ID.
            Conflict: it is the default.
        """
        with self._changes.around(), self._database.session() as session:
            row = _locked_row(session, personality_id)
            personality = row.record()
            check(personality)
            if personality.is_default:
                raise Conflict(_keeps_the_post(personality))
            session.delete(row)
        return personality


def _row(session: Session, personality_id: str) -> PersonalityRow:
    row = session.get(PersonalityRow, personality_id)
    if row is None:
        raise NotFound(f"There is no personality {personality_id}.")
    return row


def _locked_row(session: Session, personality_id: str) -> PersonalityRow:
    """Give the row, which nobody else can change before this transaction ends.

    A write that changes nothing locks in both databases: PostgreSQL the row, SQLite, which knows no SELECT
    FOR UPDATE, itself.
    """
    lock = update(PersonalityRow).where(PersonalityRow.id == personality_id)
    session.execute(
        lock.values(updated_at=PersonalityRow.updated_at), execution_options={"synchronize_session": False}
    )
    return _row(session, personality_id)


def _vacate_default(session: Session) -> None:
    session.execute(update(PersonalityRow).where(PersonalityRow.is_default).values(is_default=False))


def _check_default(personality: Personality) -> None:
    if personality.is_default and not personality.is_active:
        raise Conflict(
            f"{personality.name} cannot be the default personality, which must be active; let it be active, "
            "or another one the default."
        )


def _keeps_the_post(personality: Personality) -> str:
    return (
        f"{personality.name} is the default personality, which must exist and be active; "
        "make another one the default first."
    )


def _check_name(session: Session, personality: Personality) -> None:
    """Tell in plain words what the database would refuse, too."""
    others = select(PersonalityRow.id).where(PersonalityRow.name == personality.name)
    if session.scalar(others.where(PersonalityRow.id != personality.id)) is not None:
        raise Conflict(f"Another personality is called {personality.name!r}; choose another name.")


def _columns(personality: Personality) -> dict[str, Any]:
    """Give the columns that a change may set."""
    return {
        "name": personality.name,
        "personality_name": personality.personality_name,
        "is_active": personality.is_active,
        "is_default": personality.is_default,
        "language": personality.language,
        "voice_config": _stored(personality.voice_config),
    }


def _stored(config: VoiceConfig) -> dict[str, Any]:
    return config.model_dump(mode="json", exclude_none=True)


def _examples() -> tuple[PersonalityRow, ...]:
    table = (
        ("marcel", Gender.MALE, "m3", VoiceSettings(speed=1.0, pitch=0.0)),
        ("shante", Gender.FEMALE, "f2", VoiceSettings(speed=1.05, pitch=0.2)),
        ("zac", Gender.MALE, "m7", VoiceSettings(speed=0.95, pitch=-0.2)),
    )
    return tuple(
        PersonalityRow(
            id=f"00000000-0000-0000-0001-{number:012}",
            name=name,
            personality_name=name.capitalize(),
            is_default=number == 1,
            voice_config=_stored(
                VoiceConfig(voice_settings=settings, voices={"espeak": voice}, gender=gender)
            ),
        )
        for number, (name, gender, voice, settings) in enumerate(table, start=1)
    )
