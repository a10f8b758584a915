"""XTTS v2's folder, languages and parameters, as the farm knows them without its libraries."""

from __future__ import annotations

import json

import pytest

from shared.catalog import CATALOG
from shared.errors import SettingsError
from shared.languages import closest_language
from shared.models import normalize_language
from shared.settings import Settings
from shared.voices import Gender
from shared.xtts_model import LANGUAGE_CODES, LANGUAGES, SPEAKER_GENDERS, xtts_equipment

FILES = ("config.json", "model.pth", "vocab.json", "speakers_xtts.pth")


@pytest.fixture
def release(tmp_path):
    """A folder with the names of a release's files in it."""
    folder = tmp_path / "xtts_v2"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes(name.encode())
    return folder


def settings_of(release, **settings):
    return Settings.load(VOICEFARM_MODEL_DIR=str(release.parent), **settings)


@pytest.mark.parametrize(
    ("asked", "code"),
    [("en-US", "en"), ("en", "en"), ("zh", "zh-cn"), ("zh-cn", "zh-cn"), ("cmn", "zh-cn"), ("pt-BR", "pt")],
)
def test_a_language_has_a_code_of_xtts(asked, code):
    assert LANGUAGE_CODES[closest_language(normalize_language(asked), LANGUAGES)] == code


def test_its_languages_are_bcp_47_tags():
    assert {normalize_language(tag) for tag in LANGUAGES} == LANGUAGES
    assert len(LANGUAGES) == 17


def test_a_release_that_is_there_speaks_all_its_languages(release):
    equipment = xtts_equipment(settings_of(release))
    assert (equipment.problem, equipment.languages) == (None, LANGUAGES)


def test_a_release_for_fewer_languages_speaks_those(release):
    (release / "config.json").write_text(json.dumps({"languages": ["en", "zh-cn", "tlh"]}))
    assert xtts_equipment(settings_of(release)).languages == {"en", "zh-CN"}


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_told_with_the_remedy(release, name):
    (release / name).unlink()
    equipment = xtts_equipment(settings_of(release))
    assert equipment.problem == f"There is no {name} in xtts_v2 of the model folder (VOICEFARM_MODEL_DIR)."
    assert equipment.remedy == "Run: voicefarm models pull xtts_v2 --accept-licence"
    assert equipment.languages == LANGUAGES


def test_without_a_folder_all_files_are_missing(tmp_path):
    assert "config.json or model.pth" in xtts_equipment(settings_of(tmp_path / "xtts_v2")).problem


@pytest.mark.parametrize("name", FILES)
def test_the_fingerprint_changes_with_every_file(release, name):
    before = xtts_equipment(settings_of(release)).fingerprint
    (release / name).write_bytes(b"another")
    assert xtts_equipment(settings_of(release)).fingerprint != before


def test_the_fingerprint_changes_with_every_parameter_and_with_nothing_else(release, tmp_path):
    told = [
        {},
        {"temperature": 0.5},
        {"length_penalty": 0.5},
        {"repetition_penalty": 2.0},
        {"top_k": 5},
        {"top_p": 0.5},
        {"gpt_cond_len": 12},
        {"gpt_cond_chunk_len": 4},
        {"max_ref_length": 10},
    ]
    fingerprints = {xtts_equipment(settings_of(release, VOICEFARM_XTTS=one)).fingerprint for one in told}
    assert len(fingerprints) == len(told)
    elsewhere = release.rename(tmp_path / "elsewhere")
    (tmp_path / "other").mkdir()
    elsewhere.rename(tmp_path / "other" / "xtts_v2")
    assert xtts_equipment(settings_of(tmp_path / "other" / "xtts_v2")).fingerprint in fingerprints


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"top_k": -1}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"length_penalty": float("nan")}, "length_penalty"),
        ({"gpt_cond_len": 0}, "gpt_cond_len"),
        ({"max_ref_length": 31}, "max_ref_length"),
        ({"gpt_cond_len": 4, "gpt_cond_chunk_len": 6}, "gpt_cond_chunk_len must be at most gpt_cond_len"),
        ({"num_beams": 2}, "num_beams"),
        ({"speed": 2}, "speed"),
    ],
)
def test_what_the_library_would_refuse_is_refused_when_settings_are_read(told, named):
    with pytest.raises(SettingsError, match=f"VOICEFARM_XTTS: .*{named}"):
        Settings.load(VOICEFARM_XTTS=told)


def test_parameters_are_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("VOICEFARM_XTTS", '{"temperature": 0.5}')
    parameters = Settings.load().xtts
    assert (parameters.temperature, parameters.top_k, parameters.gpt_cond_len) == (0.5, 50, None)


def test_whose_voices_the_built_in_speakers_are():
    assert SPEAKER_GENDERS["Claribel Dervla"] is Gender.FEMALE
    assert SPEAKER_GENDERS["Damien Black"] is Gender.MALE
    assert len(SPEAKER_GENDERS) == 57


def test_it_clones_and_is_random():
    spec = CATALOG["xtts_v2"]
    assert (spec.clones, spec.is_random, spec.languages) == (True, True, LANGUAGES)
