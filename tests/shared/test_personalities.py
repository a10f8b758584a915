"""Personalities in SQL."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pydantic import ValidationError
from sqlalchemy import update

from shared.database import Database
from shared.directory import Changes
from shared.errors import Conflict, NotFound
from shared.personalities import Personalities, PersonalityRow
from shared.profiles import Profile
from shared.voice_config import VoiceConfig, VoiceSettings
from tests.edits import setting

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
    personalities.change(SHANTE, setting(is_active=False))
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
    for missing in (
        lambda: personalities.get("x"),
        lambda: personalities.change("x", setting(is_active=True)),
    ):
        with pytest.raises(NotFound):
            missing()


def test_an_empty_table_says_how_to_fill_it(database, redis_server):
    with pytest.raises(NotFound, match="voicefarm migrate"):
        Personalities(database, Changes(redis_server.client(1))).default()


def test_one_can_be_deactivated_and_activated(personalities):
    for active in (False, False, True):
        personalities.change(ZAC, setting(is_active=active))
        assert personalities.get(ZAC).is_active is active


def test_the_default_cannot_be_deactivated(personalities):
    with pytest.raises(Conflict, match="marcel is the default"):
        personalities.change(MARCEL, setting(is_active=False))
    assert personalities.get(MARCEL).is_active


def test_a_new_voice_configuration_moves_the_voice_revision(personalities):
    config = VoiceConfig(
        provider="espeak",
        fallback_chain=("piper",),
        voice_settings=VoiceSettings(speed=1.5, pitch=-3),
        voices={"espeak": "f1"},
    )
    before = personalities.get(ZAC)
    personalities.change(ZAC, setting(voice_config=config))
    after = personalities.get(ZAC)
    assert after.voice_config == config
    assert after.voice_revision == before.voice_revision + 1
    assert personalities.get(SHANTE).voice_revision == before.voice_revision


def test_one_that_is_added_is_there_as_it_was_given(personalities):
    ann = Profile(name="ann", language="fr", voice_config=VoiceConfig(voices={"espeak": "f3"})).new()
    personalities.add(ann)
    assert personalities.get(ann.id) == ann
    assert personalities.remove(ann.id, lambda _: None) == ann
    with pytest.raises(NotFound):
        personalities.get(ann.id)


def test_a_name_is_taken_once(personalities):
    with pytest.raises(Conflict, match="Another personality is called 'zac'"):
        personalities.add(Profile(name="zac").new())
    with pytest.raises(Conflict, match="Another personality is called 'zac'"):
        personalities.change(SHANTE, setting(name="zac"))
    assert [one.name for one in personalities.list()] == ["marcel", "shante", "zac"]


def test_names_are_listed_in_the_order_of_their_characters(personalities):
    for name in ("Zoe", "anna", "Émile", "bob"):
        personalities.add(Profile(name=name).new())
    names = [one.name for one in personalities.list()]
    assert names == sorted(names)


def test_changes_at_once_follow_one_another_and_none_is_lost(personalities):
    def name_voice(number):
        def edit(one):
            voices = one.voice_config.voices | {f"provider {number}": "voice"}
            return replace(one, voice_config=one.voice_config.model_copy(update={"voices": voices}))

        return personalities.change(ZAC, edit)

    with ThreadPoolExecutor(4) as pool:
        changes = list(pool.map(name_voice, range(8)))
    after = personalities.get(ZAC)
    assert len(after.voice_config.voices) == 1 + 8
    assert sorted(new.voice_revision for _, new in changes) == list(range(2, 10))
    assert all(new.voice_revision == old.voice_revision + 1 for old, new in changes)


def test_an_edit_that_refuses_changes_nothing(personalities):
    def refuse(_):
        raise Conflict

    before = personalities.get(ZAC)
    for change in (personalities.change, personalities.remove):
        with pytest.raises(Conflict):
            change(ZAC, refuse)
    assert personalities.get(ZAC) == before


def test_the_default_moves_in_one_step(personalities):
    personalities.change(ZAC, setting(is_default=True))
    assert personalities.default().id == ZAC
    ann = Profile(name="ann", is_default=True).new()
    personalities.add(ann)
    assert personalities.default() == ann
    assert [one.is_default for one in personalities.list()].count(True) == 1


def test_many_who_become_the_default_at_once_leave_one(personalities):
    def promote(personality_id):
        try:
            personalities.change(personality_id, setting(is_default=True))
        except Conflict:
            return False
        return True

    for _ in range(5):
        personalities.change(MARCEL, setting(is_default=True))
        with ThreadPoolExecutor(2) as pool:
            assert any(pool.map(promote, (SHANTE, ZAC)))
        assert [one.is_default for one in personalities.list()].count(True) == 1


@pytest.mark.parametrize(
    "edit", [{"is_active": False}, {"is_default": False}, {"is_default": False, "is_active": False}], ids=str
)
def test_the_default_keeps_its_post(personalities, edit):
    with pytest.raises(Conflict, match="marcel is the default"):
        personalities.change(MARCEL, setting(**edit))
    with pytest.raises(Conflict, match="marcel is the default"):
        personalities.remove(MARCEL, lambda _: None)
    assert personalities.default().id == MARCEL


def test_nobody_inactive_becomes_the_default(personalities):
    inactive = {"is_default": True, "is_active": False}
    with pytest.raises(Conflict, match=r"^zac cannot be the default"):
        personalities.change(ZAC, setting(**inactive))
    with pytest.raises(Conflict, match=r"^ann cannot be the default"):
        personalities.add(Profile(name="ann", **inactive).new())
    with pytest.raises(Conflict, match=r"^marcel is the default"):
        personalities.change(MARCEL, setting(**inactive))


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
