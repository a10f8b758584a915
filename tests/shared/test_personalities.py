"""Personalities in SQL."""

from __future__ import annotations

import multiprocessing

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from shared.database import Database
from shared.directory import Changes
from shared.errors import Conflict, NotFound
from shared.personalities import Personalities, PersonalityRow, VoiceConfig, VoiceSettings

MARCEL, SHANTE, ZAC = (f"00000000-0000-0000-0001-00000000000{number}" for number in (1, 2, 3))


@pytest.fixture
def personalities(database, redis_server) -> Personalities:
    personalities = Personalities(database, Changes(redis_server.client(1)))
    personalities.seed_examples()
    return personalities


def test_a_new_farm_has_marcel_who_is_the_default_shante_and_zac(personalities):
    assert [(p.id, p.name, p.is_active, p.is_default, p.language) for p in personalities.list()] == [
        (MARCEL, "marcel", True, True, "en"),
        (SHANTE, "shante", True, False, "en"),
        (ZAC, "zac", True, False, "en"),
    ]
    settings = [p.voice_config.voice_settings for p in personalities.list()]
    assert [(s.speed, s.pitch) for s in settings] == [(1.0, 0.0), (1.05, 0.2), (0.95, -0.2)]


def test_the_examples_differ_where_there_is_no_cloning(personalities):
    voices = {p.voice_config.voices["espeak"] for p in personalities.list()}
    assert len(voices) == 3


def test_the_default_is_marcel(personalities):
    assert personalities.default() == personalities.get(MARCEL)


def test_seeding_again_keeps_what_was_changed_and_deleted(personalities, database):
    personalities.set_active(SHANTE, active=False)
    with database.session() as session:
        session.delete(session.get(PersonalityRow, ZAC))
    personalities.seed_examples()
    assert [(p.name, p.is_active) for p in personalities.list()] == [("marcel", True), ("shante", False)]


def test_processes_that_seed_at_once_all_succeed(database, database_url, redis_server):
    def seed():
        Personalities(Database(database_url), Changes(redis_server.client(1))).seed_examples()

    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=seed) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert len(Personalities(database, Changes(redis_server.client(1))).list()) == 3


def test_one_that_does_not_exist_is_not_found(personalities):
    for missing in (lambda: personalities.get("x"), lambda: personalities.set_active("x", active=True)):
        with pytest.raises(NotFound):
            missing()


def test_an_empty_table_says_how_to_fill_it(database, redis_server):
    with pytest.raises(NotFound, match="voicefarm migrate"):
        Personalities(database, Changes(redis_server.client(1))).default()


def test_one_can_be_deactivated_and_activated(personalities):
    for active in (False, False, True):
        personalities.set_active(ZAC, active=active)
        assert personalities.get(ZAC).is_active is active


def test_the_default_cannot_be_deactivated(personalities):
    with pytest.raises(Conflict, match="marcel is the default"):
        personalities.set_active(MARCEL, active=False)
    assert personalities.get(MARCEL).is_active


def test_a_new_voice_configuration_moves_the_voice_revision(personalities):
    config = VoiceConfig(
        provider="espeak",
        fallback_chain=("piper",),
        voice_settings=VoiceSettings(speed=1.5, pitch=-3),
        voices={"espeak": "f1"},
    )
    before = personalities.get(ZAC)
    personalities.set_voice_config(ZAC, config)
    after = personalities.get(ZAC)
    assert after.voice_config == config
    assert after.voice_revision == before.voice_revision + 1
    assert personalities.get(SHANTE).voice_revision == before.voice_revision


@pytest.mark.parametrize(
    ("personality_id", "fields"),
    [(ZAC, {"is_default": True}), (MARCEL, {"is_active": False}), (ZAC, {"name": "marcel"})],
    ids=["a second default", "an inactive default", "a name twice"],
)
def test_the_database_itself_refuses(personalities, database, personality_id, fields):
    with pytest.raises(Conflict), database.session() as session:
        session.execute(update(PersonalityRow).where(PersonalityRow.id == personality_id).values(fields))
    assert personalities.default().name == "marcel"


@pytest.mark.parametrize(
    "refused",
    [
        {"voice_settings": {"speed": 0.2}},
        {"voice_settings": {"speed": float("nan")}},
        {"voice_settings": {"speed": "1.0"}},
        {"voice_settings": {"pitch": 20.5}},
        {"voices": {"espeak": 3}},
        {"voice": "m3"},
    ],
)
def test_a_voice_configuration_out_of_bounds_is_refused(refused):
    with pytest.raises(ValidationError):
        VoiceConfig.model_validate(refused)
