"""`voicefarm migrate`: bring the database to what this version needs."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import click

from shared.connections import front_client
from shared.database import Database
from shared.directory import Changes
from shared.keys import ApiKeys
from shared.personalities import Personalities
from shared.sessions import end_all
from shared.settings import Settings


def migrate(settings: Settings) -> None:
    """Bring the schema to this version's, and see that there are personalities and the admin's key.

    Raises:
        SettingsError: the database is somebody else's or newer, or the admin's key is another key's.
        StateUnavailable: the database or the state Redis cannot be reached.
    """
    with closing(Database(settings.database_url)) as database, front_client(settings.state_url) as redis:
        database.migrate()
        changes = Changes(redis)
        Personalities(database, changes).seed_examples()
        if settings.admin_key:
            ApiKeys(database, changes).ensure_admin(
                settings.admin_key.get_secret_value(), before_change=partial(end_all, redis)
            )


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to what this version needs; nothing happens where it is already.

    Makes the tables, the example personalities in an empty farm, and the key of VOICEFARM_ADMIN_KEY.
    'voicefarm up' does this by itself; run it before a new version's processes start elsewhere.
    """
    migrate(Settings.load())
