"""A farm to break, with a short lease; each test finds it mended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.circuits import Circuits
from tests.farm import RunningFarm, running_farm, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


ENV = {"VOICEFARM_LEASE_SECONDS": "2", "VOICEFARM_MAX_WAITERS": "4"}


@pytest.fixture(scope="package")
def _farm(tmp_path_factory) -> Iterator[RunningFarm]:
    with running_farm(tmp_path_factory.mktemp("farm"), env=ENV) as farm:
        yield farm


@pytest.fixture
def farm(_farm) -> RunningFarm:
    """A farm with an espeak pool, a lease of two seconds and room for a few waiters."""
    return made_whole(_farm)


def made_whole(farm: RunningFarm) -> RunningFarm:
    """Give a farm that is whole and idle, but holds what other tests stored and counted."""
    farm.mend()
    with farm.redis.client(1) as state:
        until(lambda: not state.zcard("voice:due"), "nothing is under way")
        state.delete("voice:outcomes:espeak")
        Circuits(state).close("espeak")
    return farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    """A client with the admin's key."""
    with farm.client() as client:
        yield client


def syntheses(http) -> int:
    """Count those that were ever stored."""
    return http.get("/api/voice/cache/stats").json()["cache"]["sets"]


@pytest.fixture
def new_syntheses(http):
    """Count the syntheses that were stored since the test began."""
    before = syntheses(http)
    return lambda: syntheses(http) - before
