"""The key changes with everything that changes the sound, and with nothing else."""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.cache import cache_key
from shared.models import AudioFormat, Fallback, Quality, Utterance, normalize_text

DIGEST = "0123456789abcdef"
WORDS = st.text(string.ascii_letters + "äéß漢字. ,!?", min_size=1).map(normalize_text).filter(bool)
SPACES = st.text(" \t\u00a0", min_size=1, max_size=3)

UTTERANCES = st.builds(
    Utterance,
    text=WORDS,
    personality_id=st.uuids().map(str),
    voice_revision=st.integers(1, 10_000),
    language=st.sampled_from(["en", "en-US", "de", "zh-CN"]),
    speed=st.floats(0.25, 4.0),
    pitch=st.floats(-20.0, 20.0),
    quality=st.sampled_from(Quality),
    fallback=st.sampled_from(Fallback),
    provider=st.sampled_from([None, "espeak", "piper"]),
    format=st.sampled_from(AudioFormat),
)


@given(UTTERANCES)
def test_a_key_is_a_whole_sha256(utterance):
    assert re.fullmatch("[0-9a-f]{64}", cache_key(utterance, DIGEST))


@given(UTTERANCES, UTTERANCES)
def test_utterances_that_sound_different_have_different_keys(one, other):
    def sound(utterance):
        chooser = utterance.provider or (utterance.quality, utterance.fallback)
        ignored = {"provider": None, "quality": Quality.HIGH, "fallback": Fallback.ANY}
        return chooser, replace(utterance, **ignored)

    assert (cache_key(one, DIGEST) == cache_key(other, DIGEST)) == (sound(one) == sound(other))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "polish"),
        ("personality_id", "00000000-0000-0000-0001-000000000002"),
        ("voice_revision", 2),
        ("language", "en-US"),
        ("speed", 1.000001),
        ("pitch", -0.000001),
        ("quality", Quality.FAST),
        ("fallback", Fallback.NEVER),
        ("provider", "espeak"),
    ],
)
def test_each_input_counts(field, value):
    utterance = Utterance(
        "Polish", "00000000-0000-0000-0001-000000000001", 1, "en", 1.0, 0.0,
        Quality.HIGH, Fallback.ANY, None, AudioFormat.WAV,
    )  # fmt: skip
    assert cache_key(replace(utterance, **{field: value}), DIGEST) != cache_key(utterance, DIGEST)


@given(UTTERANCES)
def test_the_settings_count(utterance):
    assert cache_key(utterance, DIGEST) != cache_key(utterance, DIGEST[::-1])


@given(UTTERANCES, st.sampled_from(Quality), st.sampled_from(Fallback))
def test_quality_and_fallback_do_not_count_for_a_forced_provider(utterance, quality, fallback):
    forced = replace(utterance, provider="espeak")
    assert cache_key(forced, DIGEST) == cache_key(replace(forced, quality=quality, fallback=fallback), DIGEST)


def test_zero_has_no_sign_and_a_whole_number_no_type():
    base = Utterance("Hi", "p", 1, "en", 1.0, 0.0, Quality.HIGH, Fallback.ANY, None, AudioFormat.WAV)
    assert cache_key(base, DIGEST) == cache_key(replace(base, speed=1, pitch=-0.0), DIGEST)


@given(st.lists(st.text(string.ascii_letters, min_size=1), min_size=2, max_size=5), st.data())
def test_white_space_folds_to_one_space_and_blank_lines_to_one_break(words, data):
    gaps = [data.draw(st.one_of(SPACES, st.just("\n"), st.just("\r\n"))) for _ in words]
    assert normalize_text("".join(gap + word for gap, word in zip(gaps, words, strict=True))) == " ".join(
        words
    )
    breaks = [data.draw(st.sampled_from(["\n\n", " \n \n ", "\r\n\r\n", "\n\n\n\t\n"])) for _ in words]
    assert normalize_text(
        "".join(gap + word for gap, word in zip(breaks, words, strict=True))
    ) == "\n\n".join(words)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    assert normalize_text(normalize_text(text)) == normalize_text(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1))
def test_canonically_equal_texts_are_one(text):
    assume(unicodedata.normalize("NFD", text) != text)
    assert normalize_text(unicodedata.normalize("NFD", text)) == normalize_text(text)


def test_case_is_kept_and_control_characters_are_not():
    assert normalize_text("Polish\x00 polish\x07") == "Polish polish"
