"""The SQL database, SQLite or PostgreSQL: one transaction a session, its errors turned into ours."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, TypeDecorator, create_engine, event, exc, make_url, text
from sqlalchemy.orm import DeclarativeBase, sessionmaker

from shared.errors import Conflict, SettingsError, StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Dialect, Engine
    from sqlalchemy.orm import Session

CONNECT_TIMEOUT_S = 3
STATEMENT_TIMEOUT_S = 5
_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg2"}


class UtcDateTime(TypeDecorator[datetime]):
    """A time with its zone, UTC; SQLite, which keeps no zone, gives it back as it was."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Store in UTC."""
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read as UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """What every table's class derives from."""

    type_annotation_map = {datetime: UtcDateTime()}  # noqa: RUF012  SQLAlchemy's own way


def utc_now() -> datetime:
    """Give the time that a row is written."""
    return datetime.now(UTC)


class Database:
    """One database and its pool of connections; threads may share it. Making it opens nothing."""

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(url)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a transaction: committed when the block ends, rolled back when it raises.

        Raises:
            StateUnavailable: the database cannot be reached or is too slow.
            Conflict: a constraint of the database refuses the change.
        """
        with _database_errors(), self._sessions.begin() as session:
            yield session

    def ping(self) -> None:
        """Ask the database for an answer.

        Raises:
            StateUnavailable: there is none.
        """
        with self.session() as session:
            session.execute(text("SELECT 1"))

    def migrate(self) -> None:
        """Bring the schema to this version's; several processes may do so at once.

        Raises:
            SettingsError: the database holds a newer schema, or somebody else's.
            StateUnavailable: it cannot be reached or written; the message tells why, for the operator's eyes.
        """
        from shared.migrations import upgrade  # noqa: PLC0415  it knows the models, and they know this module

        try:
            with self.engine.begin() as connection:
                upgrade(connection)
        except exc.SQLAlchemyError as error:
            raise StateUnavailable(f"{self.engine.url}: {_reason(error)}") from error

    def close(self) -> None:
        """Close the pool's connections."""
        self.engine.dispose()


def _make_engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (exc.ArgumentError, KeyError) as error:
        raise SettingsError("DATABASE_URL must begin with 'postgresql://' or 'sqlite:///'") from error
    make = _sqlite_engine if parsed.get_backend_name() == "sqlite" else _postgresql_engine
    return make(parsed.set(drivername=driver))


def _postgresql_engine(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        pool_timeout=CONNECT_TIMEOUT_S,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
        },
    )


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_timeout=CONNECT_TIMEOUT_S,
        # A transaction that begins by reading and writes later is refused at once, without the busy timeout,
        # when another has written in between; so sqlite3 begins one at the first write, and takes the lock.
        connect_args={"timeout": STATEMENT_TIMEOUT_S, "isolation_level": "IMMEDIATE"},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")

    return engine


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except exc.IntegrityError as error:
        raise Conflict("The change contradicts what is stored.") from error
    # The last is PostgreSQL's word for a table that is not there yet; SQLite's is the first.
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, exc.ProgrammingError) as error:
        raise StateUnavailable("The database does not answer; try again.") from error


def _reason(error: exc.SQLAlchemyError) -> str:
    """Give the driver's own words, which say what the operator can mend, in one line."""
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    return str(cause).partition("\n")[0]
