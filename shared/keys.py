"""Who may ask: API keys, kept as digests, each with the scope of what it allows."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  SQLAlchemy reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from shared.database import Base, utc_now
from shared.errors import Conflict, NotFound, SettingsError, Unauthorized

if TYPE_CHECKING:
    from shared.database import Database
    from shared.directory import Changes

# Fixed, so that the jobs of the admin stay the admin's when the key changes.
ADMIN_ID = "00000000-0000-0000-0002-000000000001"
# What VOICEFARM_ADMIN_KEY may be; the keys made here fit in. Anything else is no key, and asks no database.
_SECRET = re.compile(r"[\x21-\x7e]{32,512}")
_LOOKUP_DIGITS = 16


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


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who asks: a key without its secret."""

    id: str
    name: str
    scope: Scope


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
    revoked_at: Mapped[datetime | None]

    def record(self) -> ApiKey:
        """Give the row as the rest of the farm sees it."""
        return ApiKey(self.id, self.name, Scope(self.scope))


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
            Unauthorized: there is none, or it was revoked.
        """
        if not _SECRET.fullmatch(secret):
            raise Unauthorized
        digest = digest_of(secret)
        with self._database.session() as session:
            row = session.scalar(select(KeyRow).where(KeyRow.lookup == digest[:_LOOKUP_DIGITS]))
            if row is None or row.revoked_at or not hmac.compare_digest(row.digest, digest):
                raise Unauthorized
            return row.record()

    def create(self, scope: Scope, name: str) -> tuple[ApiKey, str]:
        """Make a key; gives its secret, which is kept nowhere."""
        secret = f"vf_{secrets.token_urlsafe(32)}"
        row = _make_row(str(uuid.uuid4()), name, scope, secret)
        with self._changes.around(), self._database.session() as session:
            session.add(row)
        return row.record(), secret

    def revoke(self, key_id: str) -> None:
        """Make a key useless for ever.

        Raises:
            NotFound: there is none with this ID.
        """
        with self._changes.around(), self._database.session() as session:
            row = session.get(KeyRow, key_id)
            if row is None:
                raise NotFound(f"There is no API key {key_id}.")
            row.revoked_at = row.revoked_at or utc_now()

    def ensure_admin(self, secret: str) -> None:
        """Make this the admin's key, in place of the one before.

        Raises:
            SettingsError: it is the secret of another key.
        """
        if self._is_admin(secret):
            return
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


def _make_row(key_id: str, name: str, scope: Scope, secret: str) -> KeyRow:
    digest = digest_of(secret)
    return KeyRow(
        id=key_id, name=name, scope=scope, lookup=digest[:_LOOKUP_DIGITS], digest=digest, revoked_at=None
    )
