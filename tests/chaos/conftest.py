"""A farm to break: each test has one of its own, with a short lease."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.farm import RunningFarm, running_farm

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx


@pytest.fixture
def farm(tmp_path) -> Iterator[RunningFarm]:
    """A farm with an espeak pool, a lease of two seconds and room for a few waiters."""
    with running_farm(tmp_path, env={"VOICEFARM_LEASE_SECONDS": "2", "VOICEFARM_MAX_WAITERS": "4"}) as farm:
        yield farm


@pytest.fixture
def http(farm) -> Iterator[httpx.Client]:
    """A client with the admin's key."""
    with farm.client() as client:
        yield client
