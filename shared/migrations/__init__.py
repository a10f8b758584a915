"""The schema's history: `versions/` holds one file a step, which `upgrade` runs where they are missing.

A test holds the tables that they make to the models, and prints what a new step must still do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from shared.consents import SampleRow
from shared.errors import SettingsError
from shared.keys import KeyRow
from shared.personalities import PersonalityRow
from shared.usage import SynthesisRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Any number, the same in every process of every voicefarm: who holds it migrates.
_LOCK = 0x766F696365


def upgrade(connection: Connection) -> None:
    """Run the missing steps in the connection's transaction; the caller commits it.

    Raises:
        SettingsError: the database holds a newer schema, or tables that no step of these made.
    """
    _lock(connection)
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", "shared:migrations")
    _refuse_foreign(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")


def _lock(connection: Connection) -> None:
    """Wait until no other process migrates; SQLite's lock also makes the steps one transaction."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _refuse_foreign(connection: Connection, steps: ScriptDirectory) -> None:
    held = set(MigrationContext.configure(connection).get_current_heads())
    known = {step.revision for step in steps.walk_revisions()}
    if held - known:
        raise SettingsError(
            f"a newer voicefarm or another program made this database (schema {', '.join(held)}); "
            "start that one, or set DATABASE_URL to a database of voicefarm's own"
        )
    ours = {row.__tablename__ for row in (PersonalityRow, KeyRow, SampleRow, SynthesisRow)}
    if not held and (taken := ours & set(inspect(connection).get_table_names())):
        raise SettingsError(
            f"another program made the tables {', '.join(sorted(taken))} of this database; "
            "set DATABASE_URL to a database of voicefarm's own"
        )
