"""A farm on one Redis, with a worker that only says it lives."""

from __future__ import annotations

import pytest

from shared.cli.migrate import migrate
from shared.farm import Farm
from shared.presence import Worker
from shared.settings import Settings


@pytest.fixture
def farm(redis_server, tmp_path) -> Farm:
    """A farm whose only provider is espeak; nobody answers its doorbells."""
    settings = Settings.load(
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=str(redis_server.port),
        VOICEFARM_STATE_DIR=str(tmp_path),
        VOICEFARM_PROVIDERS="espeak",
    )
    migrate(settings)
    farm = Farm.from_settings(settings)
    farm.presence.beat(Worker("one", "espeak", slots=2, device="cpu", pid=1))
    return farm
