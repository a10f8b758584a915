"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shared.database import Database
from shared.log import configure_logging
from tests.postgres import PostgresServer, running_postgres
from tests.servers import RedisServer, redis_binaries, running_redis

if TYPE_CHECKING:
    from collections.abc import Iterator


# They take longest, most of them with a farm that the tests of a folder share.
_FIRST_FOLDERS = ("chaos", "browser", "integration", "sixth", "deploy", "workers")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put whole folders first, in which order xdist hands out files: the end is left to short ones."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return _FIRST_FOLDERS.index(folder) if folder in _FIRST_FOLDERS else len(_FIRST_FOLDERS)

    items.sort(key=turn)


@pytest.fixture(scope="session", autouse=True)
def _logging() -> None:
    configure_logging("warning", "console")


@pytest.fixture(scope="session", params=["6.2", "7"])
def every_redis(request, tmp_path_factory) -> Iterator[RedisServer]:
    """Each supported line of Redis in turn; shared by the session, so a test empties it first."""
    with running_redis(redis_binaries()[request.param], tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def _redis(tmp_path_factory) -> Iterator[RedisServer]:
    with running_redis(redis_binaries()["7"], tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(_redis) -> RedisServer:
    """A Redis 7 with nothing in it."""
    _redis.client(0).flushall()
    return _redis


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for the session; a test that stops it starts it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path) -> str:
    """An empty database on each kind of server in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'voicefarm.sqlite3'}"
    return request.getfixturevalue("postgres").new_database()


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    """A database with this version's schema and nothing in it."""
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()
