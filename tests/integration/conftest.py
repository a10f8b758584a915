"""One farm for the tests that only talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.connections import worker_client
from shared.database import Database
from shared.directory import Changes
from shared.keys import ApiKeys
from shared.personalities import Personalities
from shared.scopes import Scope
from tests.farm import RunningFarm, running_farm
from tests.integration.described import Described

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture(scope="package")
def farm(tmp_path_factory) -> Iterator[RunningFarm]:
    """A farm with an espeak pool, shared by this folder."""
    budgets = {"VOICEFARM_MONTHLY_BUDGETS_USD": '{"espeak": 1000}'}  # which speaks for nothing
    with running_farm(tmp_path_factory.mktemp("farm"), env=budgets) as farm:
        yield farm


@pytest.fixture(scope="package")
def described(farm) -> Described:
    """What the farm says of its own API."""
    with farm.client() as client:
        return Described(client.get("/openapi.json").json())


@pytest.fixture
def http(farm, described) -> Iterator[httpx.Client]:
    """A client with the admin's key; every answer it gets must be as the farm's OpenAPI document says."""
    with farm.client() as client:
        client.event_hooks["response"].append(described.check)
        yield client


@pytest.fixture
def personalities(farm) -> Iterator[Personalities]:
    """The farm's personalities, as another process changes them."""
    database = Database(farm.settings.database_url)
    yield Personalities(database, Changes(worker_client(farm.settings.state_url)))
    database.close()


@pytest.fixture
def keys(farm) -> Iterator[ApiKeys]:
    """The farm's API keys, as another process changes them."""
    database = Database(farm.settings.database_url)
    yield ApiKeys(database, Changes(worker_client(farm.settings.state_url)))
    database.close()


@pytest.fixture
def speaker(farm, keys, described) -> Iterator[httpx.Client]:
    """A client with a key that may only speak."""
    _, secret = keys.create(Scope.SPEAK, "speaker")
    with farm.client() as client:
        client.event_hooks["response"].append(described.check)
        client.headers["Authorization"] = f"Bearer {secret}"
        yield client
