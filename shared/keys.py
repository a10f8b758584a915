"""Who may ask: API keys, kept as digests, each with the scope of what it allows and perhaps an end."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  SQLAlchemy reads the annotations
from typing import TYPE_CHECKING

from sqlalchemy import String, select, tuple_
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now
from shared.errors import Conflict, FieldError, InvalidRequest, NotFound, SettingsError, Unauthorized
from shared.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from shared.database import Database
    from shared.directory import Changes

# Fixed, so that the jobs of the admin stay the admin's when the key changes.
ADMIN_ID = "00000000-0000-0000-0002-000000000001"
# What VOICEFARM_ADMIN_KEY may be; the keys made here fit in. Anything else is no key, and asks no database.
_SECRET = re.compile(r"[\x21-\x7e]{32,512}")
_LOOKUP_DIGITS = 16


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who asks: a key without its secret."""

    id: str
    name: str
    scope: Scope
    expires_at: datetime | None = None

    def check_expiry(self) -> None:
        """Return while the key may be used.

        Raises:
            Unauthorized: its time is over.
        """
        if self.expires_at is not None and utc_now() >= self.expires_at:
            raise Unauthorized("This API key has expired; ask the farm's admin for a new one.")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key: all but its secret."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """Up to a minute behind; see `shared.last_uses`."""
    revoked_at: datetime | None

    @property
    def prefix(self) -> str | None:
        """How its secret begins; None for the admin's, which was not made here."""
        return None if self.id == ADMIN_ID else _prefix(self.id)


class KeyRow(Base):
    """The table. Secrets are random and long, so a plain digest cannot be turned back."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(16))
    lookup: Mapped[str] = mapped_column(String(_LOOKUP_DIGITS), unique=True)
    """The digest's first digits: finding a row by them tells a listener nothing of the rest."""
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    def caller(self) -> ApiKey:
        """Give the row as what it allows somebody."""
        return ApiKey(self.id, self.name, Scope(self.scope), self.expires_at)

    def record(self) -> KeyRecord:
        """Give the row as the admin sees it."""
        return KeyRecord(
            id=self.id,
            name=self.name,
            scope=Scope(self.scope),
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
            revoked_at=self.revoked_at,
        )


def digest_of(secret: str) -> str:
    """Give the SHA-256 of a key, by which it is known."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiKeys:
    """The table's operations. A change returns when no reader can see what was before it.

    Every method raises `StateUnavailable` when the database, or for a change Redis, cannot be reached.
    """

    def __init__(self, database: Database, changes: Changes) -> None:
        self._database = database
        self._changes = changes

    def authenticate(self, secret: str) -> ApiKey:
        """Give the key of this secret.

        Raises:
            Unauthorized: there is none, or it was revoked or has expired.
        """
        if not _SECRET.fullmatch(secret):
            raise Unauthorized
        digest = digest_of(secret)
        with self._database.session() as session:
            row = session.scalar(select(KeyRow).where(KeyRow.lookup == digest[:_LOOKUP_DIGITS]))
            if row is None or not hmac.compare_digest(row.digest, digest):
                raise Unauthorized
            if row.revoked_at:
                raise Unauthorized("This API key was revoked; ask the farm's admin for a new one.")
        key = row.caller()
        key.check_expiry()
        return key

    def get(self, key_id: str) -> KeyRecord:
        """Give what is kept of a key.

        Raises:
            NotFound: there is none with this ID.
        """
        with self._database.session() as session:
            return _row(session, key_id).record()

    def list(self, *, limit: int, after_id: str | None = None) -> tuple[KeyRecord, ...]:
        """Give at most `limit` keys, revoked ones too, the newest first: those made before `after_id`.

        Raises:
            InvalidRequest: no key has the ID `after_id`.
        """
        age = (KeyRow.created_at, KeyRow.id)
        query = select(KeyRow).order_by(*(column.desc() for column in age)).limit(limit)
        with self._database.session() as session:
            if after_id is not None:
                last = session.get(KeyRow, after_id)
                if last is None:
                    raise InvalidRequest([FieldError("cursor", "must be the next_cursor of a page before")])
                query = query.where(tuple_(*age) < (last.created_at, last.id))
            return tuple(row.record() for row in session.scalars(query))

    def create(self, scope: Scope, name: str, expires_at: datetime | None = None) -> tuple[KeyRecord, str]:
        """Make a key; gives its secret, which is kept nowhere."""
        key_id = str(uuid.uuid4())
        secret = f"{_prefix(key_id)}_{secrets.token_urlsafe(32)}"
        row = _make_row(key_id, name, scope, secret, expires_at)
        with self._changes.around(), self._database.session() as session:
            session.add(row)
        return row.record(), secret

    def revoke(self, key_id: str) -> KeyRecord:
        """Make a key useless for ever; one that was revoked before stays as it was.

        Raises:
            NotFound: there is none with this ID.
            Conflict: it is the admin's, which a setting makes valid again at the next start.
        """
        if key_id == ADMIN_ID:
            raise Conflict(
                "This is the admin's own key; to replace it, change VOICEFARM_ADMIN_KEY "
                "(or delete admin.key in the state folder) and start the farm again."
            )
        with self._changes.around(), self._database.session() as session:
            row = _row(session, key_id)
            row.revoked_at = row.revoked_at or utc_now()
        return row.record()

    def ensure_admin(self, secret: str, *, before_change: Callable[[], None] = lambda: None) -> None:
        """Make this the admin's key, in place of the one before; where it is that already, nothing happens.

        Raises:
            SettingsError: it is the secret of another key.
        """
        if self._is_admin(secret):
            return
        before_change()
        try:
            with self._changes.around(), self._database.session() as session:
                session.merge(_make_row(ADMIN_ID, "admin", Scope.ADMIN, secret))
        except Conflict as error:
            if not self._is_admin(secret):  # else another process was quicker
                raise SettingsError(
                    "VOICEFARM_ADMIN_KEY is the secret of another API key; choose a new one"
                ) from error

    def _is_admin(self, secret: str) -> bool:
        try:
            return self.authenticate(secret).id == ADMIN_ID
        except Unauthorized:
            return False


def _row(session: Session, key_id: str) -> KeyRow:
    row = session.get(KeyRow, key_id)
    if row is None:
        raise NotFound(f"There is no API key {key_id}.")
    return row


def _prefix(key_id: str) -> str:
    """Begin a secret with a part of its ID: it is recognised by that, and nothing random is told."""
    return f"vf_{key_id[:8]}"


def _make_row(
    key_id: str, name: str, scope: Scope, secret: str, expires_at: datetime | None = None
) -> KeyRow:
    digest = digest_of(secret)
    return KeyRow(
        id=key_id,
        name=name,
        scope=scope,
        lookup=digest[:_LOOKUP_DIGITS],
        digest=digest,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
