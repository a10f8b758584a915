"""The addresses that follow from the settings."""

from __future__ import annotations

import pytest

from shared.settings import Settings


@pytest.mark.parametrize(
    ("state_url", "database"),
    [
        (None, "1"),
        ("redis://:secret@cache:6380/7", "7"),
        ("redis://:secret@cache:6381/7", None),
        ("redis://:other@cache:6380/7", None),
        ("redis://:secret@state:6380/7", None),
        ("redis://:secret@cache:6380", None),
        ("redis://:secret@cache:6380/7?protocol=3", None),
    ],
)
def test_a_ledger_beside_the_audio_is_told_by_its_address(state_url, database):
    given = {"VOICEFARM_STATE_URL": state_url} if state_url else {}
    where = {"REDIS_HOST": "cache", "REDIS_PORT": "6380", "REDIS_PASSWORD": "secret"}
    assert Settings.load(**where, **given).state_db_beside_audio == database


@pytest.mark.parametrize(
    ("urls", "database"),
    [
        ({}, "0"),
        ({"CELERY_BROKER_URL": "redis://here:1/5", "VOICEFARM_STATE_URL": "redis://here:1/1"}, "5"),
        ({"CELERY_BROKER_URL": "redis://here:1/5"}, None),
        ({"VOICEFARM_STATE_URL": "redis://here:1/5"}, None),
        ({"CELERY_BROKER_URL": "amqp://guest@here//", "VOICEFARM_STATE_URL": "amqp://guest@here/5"}, None),
    ],
)
def test_a_broker_beside_the_ledger_is_told_by_its_address(urls, database):
    assert Settings.load(REDIS_HOST="cache", **urls).broker_db_beside_state == database
