"""Google's table of voices, and what must be there to ask Google."""

from __future__ import annotations

import json

import pytest
from honcho.environ import parse_procfile

from shared.catalog import CATALOG
from shared.errors import SettingsError
from shared.google_voices import KNOWN_VOICES, LIST_PRICES_USD, class_of, google_equipment, language_of
from shared.models import normalize_language
from shared.settings import Settings
from shared.voices import Gender
from tests.farm import ROOT


def equipment(**settings):
    return google_equipment(Settings.load(**settings))


def with_file(tmp_path, content):
    file = tmp_path / "credentials.json"
    file.write_bytes(content)
    return equipment(GOOGLE_APPLICATION_CREDENTIALS=str(file))


def test_with_credentials_google_speaks_the_languages_of_its_table(tmp_path):
    found = with_file(tmp_path, b'{"type": "service_account"}')
    assert (found.languages, found.problem) == (KNOWN_VOICES.languages, None)


def test_without_credentials_there_is_a_problem_and_a_remedy():
    found = equipment()
    assert "no credentials" in found.problem
    assert "GOOGLE_APPLICATION_CREDENTIALS" in found.remedy
    assert found.languages == KNOWN_VOICES.languages


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "names no type"),
        (b"{}", "names no type"),
        (b'{"type": 1}', "names no type"),
    ],
)
def test_a_file_that_holds_no_credentials_is_told(tmp_path, content, problem):
    found = with_file(tmp_path, content)
    assert problem in found.problem
    assert str(tmp_path) not in found.problem


@pytest.mark.parametrize("path", [".", "nowhere.json"])
def test_what_is_no_file_is_told(tmp_path, path):
    assert "cannot be read" in equipment(GOOGLE_APPLICATION_CREDENTIALS=str(tmp_path / path)).problem


def test_an_endpoint_in_plain_text_needs_no_credentials():
    assert equipment(VOICEFARM_GOOGLE_ENDPOINT="http://127.0.0.1:8080").problem is None
    assert equipment(VOICEFARM_GOOGLE_ENDPOINT="eu-texttospeech.googleapis.com").problem is not None


def test_the_fingerprint_changes_with_what_changes_the_sound(monkeypatch):
    plain = equipment().fingerprint
    assert plain == equipment(VOICEFARM_GOOGLE_TRANSPORT="rest").fingerprint
    assert plain != equipment(VOICEFARM_GOOGLE_ENDPOINT="http://127.0.0.1:8080").fingerprint
    monkeypatch.setenv("VOICEFARM_GOOGLE_VOICES", '{"en-US": {"en-US-Neural2-C": "male"}}')
    assert plain != equipment().fingerprint


def test_settings_replace_the_table(monkeypatch):
    monkeypatch.setenv("VOICEFARM_GOOGLE_VOICES", '{"nl-nl": {"nl-NL-Wavenet-B": null}}')
    assert equipment().languages == {"nl-NL"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VOICEFARM_GOOGLE_VOICES", "{"),
        ("VOICEFARM_GOOGLE_VOICES", '{"??": {"en-US-Neural2-C": null}}'),
        ("VOICEFARM_GOOGLE_VOICES", '{"en-US": {"amy": null}}'),
        ("VOICEFARM_GOOGLE_VOICES", '{"en-US": {"en-US-Neural2-C": "robot"}}'),
        ("VOICEFARM_GOOGLE_PRICES", '{"Neural2": -1}'),
        ("VOICEFARM_GOOGLE_PRICES", '{"Neural2": NaN}'),
        ("VOICEFARM_GOOGLE_CONCURRENCY", "0"),
        ("VOICEFARM_GOOGLE_TIMEOUT_SECONDS", "0"),
        ("VOICEFARM_GOOGLE_TRANSPORT", "carrier pigeon"),
        ("VOICEFARM_GOOGLE_ENDPOINT", "https://texttospeech.googleapis.com/"),
        ("VOICEFARM_GOOGLE_ENDPOINT", "http://user:password@host:1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_told_by_its_name(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"{variable}: "):
        Settings.load()


def test_the_known_voices_have_canonical_languages_a_gender_and_a_price():
    assert CATALOG["google_tts"].languages == KNOWN_VOICES.languages
    for voice in KNOWN_VOICES.voices:
        assert normalize_language(voice.language) == voice.language == language_of(voice.name)
        assert voice.gender in Gender
        assert class_of(voice.name) in LIST_PRICES_USD
    for language in KNOWN_VOICES.languages:
        genders = [voice.gender for voice in KNOWN_VOICES.voices if voice.language == language]
        assert sorted(genders) == [Gender.FEMALE, Gender.MALE]


@pytest.mark.parametrize(
    ("name", "voice_class"),
    [
        ("en-US-Neural2-C", "Neural2"),
        ("cmn-CN-Standard-A", "Standard"),
        ("de-DE-Chirp3-HD-Kore", "Chirp3-HD"),
        ("en-US-Chirp-HD-F", "Chirp-HD"),
        ("fr-FR-Polyglot-1", "Polyglot"),
        ("ar-XA-Wavenet-B", "Wavenet"),
    ],
)
def test_the_class_of_a_voice_stands_in_its_name(name, voice_class):
    assert class_of(name) == voice_class


def test_only_thread_safe_providers_have_pools_of_several_threads():
    lines = parse_procfile((ROOT / "Procfile").read_text()).processes
    for spec in CATALOG.values():
        line = lines[spec.name]
        assert f"--queues {spec.name} " in line
        if spec.is_thread_safe:
            assert "--pool threads " in line
        else:
            assert "--pool prefork " in line or "--pool threads --concurrency 1 " in line


def test_a_pools_default_concurrency_is_the_settings():
    default = Settings.load().google_concurrency
    assert f"${{VOICEFARM_GOOGLE_CONCURRENCY:-{default}}}" in (ROOT / "Procfile").read_text()


def test_the_example_in_the_settings_is_true():
    for name in ("google_voices", "google_prices"):
        field = Settings.model_fields[name]
        example = field.description[field.description.index("{") : field.description.rindex("}") + 1]
        assert getattr(Settings.load(**{field.alias: json.loads(example)}), name)
