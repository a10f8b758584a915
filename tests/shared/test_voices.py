"""A table of voices: who speaks which language, by name, gender and order."""

from __future__ import annotations

import pytest

from shared.voices import Gender, Voice, VoiceTable

FEMALE, MALE = Gender.FEMALE, Gender.MALE
TABLE = VoiceTable.of(
    {
        "en-US": {"amy": FEMALE, "ryan": MALE, "kristin": FEMALE},
        "en-GB": {"alan": MALE},
        "pt-BR": {"faber": MALE},
        "es-MX": {"ald": MALE},
        "es-ES": {"sharvard": None},
    }
)


def chosen(language, wanted=None, gender=None):
    voice = TABLE.choose(language, wanted=wanted, gender=gender)
    return voice and voice.name


@pytest.mark.parametrize(
    ("language", "gender", "name"),
    [
        ("en-US", None, "amy"),
        ("en-US", FEMALE, "amy"),
        ("en-US", MALE, "ryan"),
        ("en-GB", None, "alan"),
        ("en-GB", FEMALE, "alan"),
        ("en", MALE, "ryan"),
        ("en-AU", FEMALE, "alan"),
        ("pt", FEMALE, "faber"),
        ("pt-PT", None, "faber"),
        ("es", None, "sharvard"),
        ("es", MALE, "sharvard"),
        ("es-AR", FEMALE, "ald"),
        ("de", None, None),
        ("ca", MALE, None),
    ],
)
def test_the_exact_locale_comes_first_then_the_closest_and_in_it_the_gender(language, gender, name):
    assert chosen(language, gender=gender) == name


@pytest.mark.parametrize(
    ("language", "wanted", "gender", "name"),
    [
        ("en-US", "kristin", None, "kristin"),
        ("en-US", "kristin", MALE, "kristin"),
        ("en-US", "alan", None, "alan"),
        ("en-NZ", "ryan", FEMALE, "ryan"),
        ("en-US", "faber", None, "ryan"),
        ("en-US", "faber", FEMALE, "amy"),
        ("pt-BR", "amy", None, "faber"),
        ("en-US", "nobody", None, "amy"),
        ("de", "amy", None, None),
    ],
)
def test_a_voice_wanted_by_name_speaks_what_it_can_and_else_lends_its_gender(language, wanted, gender, name):
    assert chosen(language, wanted, gender) == name


def test_a_table_knows_its_languages():
    assert TABLE.languages == {"en-US", "en-GB", "pt-BR", "es-MX", "es-ES"}


def test_a_table_can_be_narrowed_to_some_voices_in_its_own_order():
    narrowed = TABLE.only({"kristin", "faber", "ryan", "nobody"})
    assert [voice.name for voice in narrowed.voices] == ["ryan", "kristin", "faber"]
    assert narrowed.languages == {"en-US", "pt-BR"}


def test_an_empty_table_has_nobody():
    assert VoiceTable(()).choose("en", wanted="amy", gender=FEMALE) is None


def test_a_voice_may_have_no_gender():
    assert Voice("crowd", "en-US").gender is None
