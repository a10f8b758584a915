"""Processes of a pool are killed; it has others made, and no accepted job is lost.

Piper's pool is one of processes. Here espeak speaks in one, which is quicker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

from tests.chaos.conftest import ENV, made_whole
from tests.chaos.test_failures import ask, ask_for_much, status, succeeds
from tests.farm import RunningFarm, running_farm, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def _farm(tmp_path_factory) -> Iterator[RunningFarm]:
    with running_farm(tmp_path_factory.mktemp("farm"), env=ENV) as farm, farm.processes():
        yield farm


@pytest.fixture
def farm(_farm) -> RunningFarm:
    """A farm whose espeak pool is of processes."""
    return made_whole(_farm)


def children(farm):
    """The processes of the pool that speak."""
    return psutil.Process(farm["espeak"].process.pid).children()


def test_a_worker_killed_in_the_middle_loses_nothing(farm, http, new_syntheses):
    job = ask_for_much(http)
    until(lambda: status(http, job) == "running", "the job runs")
    for child in children(farm):
        child.kill()
    assert status(http, job) == "running", "nobody has noticed yet"
    succeeds(http, job)
    attempts = http.get(job).json()["attempts"]
    assert [attempt["code"] for attempt in attempts] == ["worker_lost"]
    assert new_syntheses() == 1


def test_killing_workers_again_and_again_loses_nothing(farm, http, new_syntheses):
    jobs = []
    for _ in range(5):
        jobs += [ask(http) for _ in range(10)]
        for child in children(farm):
            child.kill()
    succeeds(http, *jobs, within_s=60)
    assert new_syntheses() == len(jobs)


def test_a_pool_whose_workers_were_killed_outlasts_its_connection(farm, http):
    for _ in range(5):
        jobs = [ask(http) for _ in range(10)]
        for child in children(farm):
            child.kill()
    succeeds(http, *jobs, within_s=60)
    farm.redis.kill()
    farm.redis.start()
    until(lambda: http.get("/readyz").status_code == 200, "the farm is ready again")
    succeeds(http, *(ask(http) for _ in range(3)))
