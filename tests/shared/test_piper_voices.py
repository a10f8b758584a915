"""What lies in the model folder decides what Piper speaks, and under which cache keys."""

from __future__ import annotations

import json

import pytest

from shared.catalog import CATALOG
from shared.errors import SettingsError
from shared.models import normalize_language
from shared.piper_voices import KNOWN_VOICES, InstalledVoices, piper_equipment
from shared.settings import Settings
from shared.voices import Gender

AMY, SIWIS, THORSTEN = "en_US-amy-medium", "fr_FR-siwis-medium", "de_DE-thorsten-medium"


def settings_of(models, **settings):
    return Settings.load(VOICEFARM_MODEL_DIR=str(models), **settings)


def put(models, name, network=b"network", **description):
    """Lay a voice's files into the folder; nobody here looks into the network."""
    folder = models / "piper"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.onnx").write_bytes(network)
    (folder / f"{name}.onnx.json").write_text(json.dumps({"espeak": {"voice": "en-us"}, **description}))


def fingerprint(models, **settings):
    return piper_equipment(settings_of(models, **settings)).fingerprint


def test_piper_speaks_the_languages_of_the_voices_that_are_there(tmp_path):
    put(tmp_path, AMY)
    put(tmp_path, SIWIS)
    equipment = piper_equipment(settings_of(tmp_path))
    assert (equipment.languages, equipment.problem) == ({"en-US", "fr-FR"}, None)


@pytest.mark.parametrize("folder", [".", "nowhere"])
def test_where_no_voice_is_the_problem_is_told_and_the_table_tells_the_languages(tmp_path, folder):
    equipment = piper_equipment(settings_of(tmp_path / folder))
    assert equipment.problem == "There is no voice in piper of the model folder (VOICEFARM_MODEL_DIR)."
    assert "voicefarm models pull en_US-amy-medium" in equipment.remedy
    assert "NAME.onnx.json" in equipment.remedy
    assert equipment.languages == KNOWN_VOICES.languages


def test_half_a_voice_is_none(tmp_path):
    put(tmp_path, f"._{AMY}")  # what macOS leaves beside a file
    put(tmp_path, AMY)
    put(tmp_path, SIWIS)
    (tmp_path / "piper" / f"{AMY}.onnx.json").unlink()
    (tmp_path / "piper" / f"{SIWIS}.onnx").unlink()
    assert piper_equipment(settings_of(tmp_path)).problem


@pytest.mark.parametrize(
    ("description", "language"),
    [
        ({"language": {"code": "de_DE"}, "espeak": {"voice": "de"}}, "de-DE"),
        ({"espeak": {"voice": "de"}}, "de"),
        ({"espeak": {"voice": "en-gb-x-rp"}}, "en-GB-x-rp"),
        ({"language": {"code": "no language"}}, None),
        ({"language": None, "espeak": {"voice": "de"}}, "de"),
        ({"language": "de"}, None),
        ({"espeak": {}}, None),
    ],
)
def test_a_voice_that_the_table_lacks_tells_its_language_itself(tmp_path, description, language):
    put(tmp_path, THORSTEN, **description)
    put(tmp_path, AMY)
    installed = InstalledVoices.find(settings_of(tmp_path))
    assert installed.names == {AMY, THORSTEN}
    assert installed.table.languages == {"en-US", language} - {None}
    assert installed.table.voices[0].name == AMY, "the table's own come first"


def test_a_description_that_is_no_json_leaves_the_voice_to_be_named(tmp_path):
    put(tmp_path, THORSTEN)
    (tmp_path / "piper" / f"{THORSTEN}.onnx.json").write_text("{")
    installed = InstalledVoices.find(settings_of(tmp_path))
    assert (installed.names, installed.table.voices) == ({THORSTEN}, ())


def test_the_fingerprint_is_the_same_wherever_the_same_voices_lie(tmp_path):
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        put(tmp_path / folder, AMY)
        put(tmp_path / folder, SIWIS)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "other") != ""


@pytest.mark.parametrize(
    "change",
    [
        lambda models: put(models, SIWIS),
        lambda models: put(models, AMY, inference={"noise_scale": 0.5}),
        lambda models: put(models, AMY, network=b"n" + b"x" * 200_000 + b"k"),
        lambda models: put(models, AMY, network=b"o" + b"x" * 200_000 + b"o"),
        lambda models: put(models, AMY, network=b"n" + b"x" * 200_001 + b"o"),
        lambda models: (models / "piper" / f"{AMY}.onnx").unlink(),
    ],
)
def test_the_fingerprint_changes_with_what_changes_the_sound(tmp_path, change):
    put(tmp_path, AMY, network=b"n" + b"x" * 200_000 + b"o")
    before = fingerprint(tmp_path)
    change(tmp_path)
    assert fingerprint(tmp_path) != before


def test_the_fingerprint_covers_the_table_of_voices(tmp_path, monkeypatch):
    put(tmp_path, AMY)
    before = fingerprint(tmp_path)
    monkeypatch.setenv("VOICEFARM_PIPER_VOICES", json.dumps({"en-US": {AMY: "male"}}))
    assert fingerprint(tmp_path) != before


def test_settings_replace_the_table(tmp_path, monkeypatch):
    put(tmp_path, AMY)
    put(tmp_path, SIWIS, language={"code": "fr_FR"})
    monkeypatch.setenv("VOICEFARM_PIPER_VOICES", '{"en-in": {"en_US-amy-medium": null}}')
    table = InstalledVoices.find(settings_of(tmp_path)).table
    assert [(voice.name, voice.language, voice.gender) for voice in table.voices] == [
        (AMY, "en-IN", None),
        (SIWIS, "fr-FR", None),
    ]


@pytest.mark.parametrize("value", ["{", "[]", '{"??": {"a": null}}', '{"en": {"a": "robot"}}', '{"en": "a"}'])
def test_a_table_that_cannot_be_used_is_told_by_its_name(tmp_path, monkeypatch, value):
    monkeypatch.setenv("VOICEFARM_PIPER_VOICES", value)
    with pytest.raises(SettingsError, match="VOICEFARM_PIPER_VOICES: "):
        settings_of(tmp_path)


def test_the_known_voices_have_canonical_languages_of_the_catalogue_and_a_gender():
    assert CATALOG["piper"].languages == KNOWN_VOICES.languages
    for voice in KNOWN_VOICES.voices:
        assert normalize_language(voice.language) == voice.language
        assert voice.name.startswith(voice.language.replace("-", "_"))
        assert voice.gender in Gender


def test_the_model_folder_lies_in_the_state_folder(tmp_path):
    assert Settings.load(VOICEFARM_STATE_DIR=str(tmp_path)).model_dir == tmp_path / "models"
    assert settings_of(tmp_path / "other", VOICEFARM_STATE_DIR="x").model_dir == tmp_path / "other"
    assert Settings.load().model_dir.is_absolute()
