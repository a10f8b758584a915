"""The schema's history."""

from __future__ import annotations

import multiprocessing
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner
from sqlalchemy import inspect, text

from shared.cli.migrate import migrate_command
from shared.consents import SampleRow
from shared.database import Base, Database
from shared.directory import Changes
from shared.errors import SettingsError, StateUnavailable
from shared.keys import ApiKey, ApiKeys, KeyRow, digest_of
from shared.personalities import Personalities, PersonalityRow
from shared.scopes import Scope
from shared.usage import SynthesisRow

ADMIN_KEY = "an-admin-key-of-at-least-32-characters"


def test_the_steps_make_exactly_the_models_tables(database):
    models = (PersonalityRow, KeyRow, SampleRow, SynthesisRow)
    assert set(Base.metadata.tables) == {model.__tablename__ for model in models}
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_keys_from_before_they_could_expire_are_kept_and_never_do(database_url, redis_server):
    database = Database(database_url)
    config = Config()
    config.set_main_option("script_location", "shared:migrations")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        digest = digest_of(ADMIN_KEY)
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, scope, lookup, digest, created_at) "
                "VALUES ('1', 'shop', 'speak', :lookup, :digest, CURRENT_TIMESTAMP)"
            ),
            {"lookup": digest[:16], "digest": digest},
        )
    database.migrate()
    keys = ApiKeys(database, Changes(redis_server.client(1)))
    assert keys.authenticate(ADMIN_KEY) == ApiKey("1", "shop", Scope.SPEAK)
    assert (keys.get("1").expires_at, keys.get("1").last_used_at) == (None, None)
    database.close()


def test_migrating_again_changes_nothing(database):
    database.migrate()


def test_processes_that_migrate_at_once_all_succeed(database_url):
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=Database(database_url).migrate) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]


def test_a_step_that_fails_in_the_middle_leaves_nothing_behind(database_url):
    database = Database(database_url)
    with database.session() as session:
        session.execute(text("CREATE TABLE notes (line INTEGER)"))
        session.execute(text("CREATE INDEX one_default_personality ON notes (line)"))
    with pytest.raises(StateUnavailable, match=r"one_default_personality\S* already exists$"):
        database.migrate()
    assert inspect(database.engine).get_table_names() == ["notes"]
    with database.session() as session:
        session.execute(text("DROP INDEX one_default_personality"))
    database.migrate()
    database.close()


def test_a_newer_schema_is_refused_in_one_line(database):
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match=r"^a newer voicefarm .* \(schema 9999\)[^\n]*$"):
        database.migrate()


def test_another_programs_tables_are_refused_in_one_line(database_url):
    database = Database(database_url)
    with database.session() as session:
        session.execute(text("CREATE TABLE api_keys (id INTEGER)"))
    with pytest.raises(SettingsError, match=r"^another program made the tables api_keys[^\n]*$"):
        database.migrate()
    database.close()


def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Dear diary, this is more than a hundred bytes of something else entirely. " * 3)
    with pytest.raises(StateUnavailable, match=r"^sqlite\S+notes.txt: file is not a database$"):
        Database(f"sqlite:///{path}").migrate()


def test_an_unreachable_server_is_named_without_its_password():
    database = Database("postgresql://somebody:secret@127.0.0.1:1/farm")
    with pytest.raises(
        StateUnavailable, match=r"^postgresql\S+:\*\*\*@127.0.0.1:1/farm: [^\n]*refused[^\n]*$"
    ):
        database.migrate()


def test_the_migrate_command_makes_a_farm_ready_and_does_so_again(database_url, redis_server, monkeypatch):
    for name, value in {
        "DATABASE_URL": database_url,
        "VOICEFARM_STATE_URL": redis_server.url(1),
        "VOICEFARM_ADMIN_KEY": ADMIN_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):
        assert CliRunner().invoke(migrate_command).exit_code == 0
    with closing(Database(database_url)) as database:
        changes = Changes(redis_server.client(1))
        assert Personalities(database, changes).default().name == "marcel"
        assert ApiKeys(database, changes).authenticate(ADMIN_KEY).scope is Scope.ADMIN
