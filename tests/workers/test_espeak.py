"""espeak-ng: its voices, its laws of speed and pitch over the whole range, and what crashes it."""

# ruff: noqa: RUF001  phonemes are written so

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from math import exp2
from pathlib import Path

import espeakng_loader
import numpy as np
import pytest

from shared.catalog import ESPEAK_LANGUAGES
from shared.errors import EngineFailed, ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.models import normalize_language
from tests.workers.acoustics import fundamental_hz, sounding_s
from tests.workers.autonyms import AUTONYMS
from tests.workers.utterances import VOICED_TEXT, utterance
from workers.audio import join
from workers.providers.espeak import EspeakProvider, controls_for
from workers.providers.espeak_library import NEUTRAL, EspeakLibrary
from workers.providers.espeak_voices import Voice, Voices
from workers.providers.forked import ForkedFunction

LIBRARY = Path(espeakng_loader.get_library_path())
DATA = Path(espeakng_loader.get_data_path())

# Voices of the library that no language of the catalogue is spoken with, and why.
LEFT_OUT = {
    "piqd", "py", "qdb", "qya", "sjn", "xex",  # fiction's
    "ca-ba", "ca-nw", "en-us-nyc", "ru-cl",  # dialects for which BCP 47 has no tag
    "fo", "kaa",  # listed, but their dictionaries are missing
    "chr",  # listed, but silent on Cherokee's own script
}  # fmt: skip

TEXTS = {
    "en-US": (
        VOICED_TEXT,
        "The quick brown fox jumps over the lazy dog. Please leave your message after the tone.",
    ),
    "de": (
        "Wir alle wollen morgen in aller Ruhe durch den alten Garten wandern.",
        "Der schnelle braune Fuchs springt über den faulen Hund.",
    ),
}
SPEEDS = [0.25, 0.4, 0.5, 0.8, 1.05, 1.3, 1.8, 2.5, 4.0]
PITCHES = [-20.0, -14.0, -8.0, -3.0, -0.2, 0.2, 3.0, 9.0, 14.0, 20.0]


@pytest.fixture(scope="module")
def espeak() -> EspeakProvider:
    provider = EspeakProvider()
    provider.load()
    return provider


@pytest.fixture(scope="module")
def library() -> EspeakLibrary:
    return EspeakLibrary(LIBRARY, DATA)


def rendered(library, voice, controls) -> bytes:
    """What espeak itself makes of the text, as samples of 16 bits."""
    return ForkedFunction(library.render, limit_s=10)(VOICED_TEXT, voice, controls, end_pause=False)


def in_16_bits(chunk) -> bytes:
    return (chunk.samples * 32768).astype(np.int16).tobytes()


@pytest.fixture(scope="module")
def voices() -> Voices:
    return Voices(DATA)


@pytest.fixture(
    scope="module",
    params=[
        (language, text, variant)
        for language, texts in TEXTS.items()
        for text in texts
        for variant in (None, "f2", "m3")
    ],
    ids=lambda case: f"{case[0]}-{case[1][:6]}-{case[2]}",
)
def say(request, espeak):
    """Speak one text in one voice at any speed and pitch."""
    language, text, variant = request.param
    names = {"espeak": variant} if variant else {}
    return lambda **fields: join(
        espeak.synthesize(utterance(text, language=language, voices=names, **fields))
    )


def test_length_follows_speed_and_the_fundamental_stays_over_the_whole_range(say):
    plain = say()
    fundamental, length, sounding = fundamental_hz(plain), len(plain.samples), sounding_s(plain)
    for speed in SPEEDS:
        changed = say(speed=speed)
        assert len(changed.samples) * speed == pytest.approx(length, rel=0.03), speed
        assert sounding_s(changed) * speed == pytest.approx(sounding, rel=0.05), speed
        assert fundamental_hz(changed) == pytest.approx(fundamental, rel=0.03), speed


def test_the_fundamental_follows_pitch_and_the_length_stays_over_the_whole_range(say):
    plain = say()
    fundamental, length, sounding = fundamental_hz(plain), len(plain.samples), sounding_s(plain)
    for pitch in PITCHES:
        changed, ratio = say(pitch=pitch), exp2(pitch / 12)
        heard = fundamental_hz(changed, transposed=ratio)
        assert heard == pytest.approx(fundamental * ratio, rel=0.03), pitch
        assert len(changed.samples) == pytest.approx(length, rel=0.03), pitch
        assert sounding_s(changed) == pytest.approx(sounding, rel=0.05), pitch


@pytest.mark.parametrize("language", TEXTS)
def test_speed_and_pitch_hold_together_in_the_corners(espeak, language):
    def say(**fields):
        text = TEXTS[language][0]
        return join(espeak.synthesize(utterance(text, language=language, voices={"espeak": "f2"}, **fields)))

    plain = say()
    for speed in (0.25, 4.0):
        for pitch in (-20.0, 20.0):
            changed, ratio = say(speed=speed, pitch=pitch), exp2(pitch / 12)
            assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.03)
            heard = fundamental_hz(changed, transposed=ratio)
            assert heard == pytest.approx(fundamental_hz(plain) * ratio, rel=0.03)


def test_plain_speech_is_espeaks_own_untouched(espeak, library):
    spoken = join(espeak.synthesize(utterance(language="en-US")))
    assert in_16_bits(spoken) == rendered(library, "gmw/en-US", NEUTRAL)


@pytest.mark.parametrize(
    "clauses",
    [
        {
            "Hello, ": "həlˈoʊ",
            "it costs $5.50. ": "ɪt kˈɔsts dˈɑːlɚ fˈaɪv pɔɪnt fˈaɪv zˈiəɹoʊ",
            "Naïve?": "naɪˈiːv",
        },
        {"你好。": "tʃˈaɪniːzlˌɛɾɚ tʃˈaɪniːzlˌɛɾɚ", "why": "wˈaɪ"},
        {"…": ""},
        {"": ""},
    ],
    ids=repr,
)
def test_a_text_is_read_to_phonemes_clause_by_clause(library, clauses):
    read = ForkedFunction(library.read, limit_s=10)("".join(clauses), "gmw/en-US")
    assert {clause.text: clause.phonemes for clause in read} == clauses


def test_small_changes_are_espeaks_own_untouched(espeak, library, voices):
    controls = controls_for(voices.find("en-US"), speed=1.0, semitones=2.0)
    spoken = join(espeak.synthesize(utterance(language="en-US", pitch=2.0)))
    assert in_16_bits(spoken) == rendered(library, "gmw/en-US", controls)


def test_espeak_is_never_asked_for_more_than_it_takes():
    voice = Voice("gmw/en", 80, 118)
    for speed in (0.25, 1.0, 4.0):
        for semitones in (-20.0, 0.0, 20.0):
            controls = controls_for(voice, speed, semitones)
            assert 80 <= controls.rate_wpm <= 450
            assert 0 <= controls.pitch <= 99
            assert 0 <= controls.intonation <= 99
    assert controls_for(voice, 1.0, 0.0) == NEUTRAL


def test_equal_utterances_sound_equal_whatever_was_spoken_between(espeak):
    def speak(**fields):
        return join(espeak.synthesize(utterance(language="zh-CN", text="你好 world", **fields))).samples

    first = speak(speed=1.2)
    speak(pitch=7.0)
    join(espeak.synthesize(utterance()))
    assert np.array_equal(speak(speed=1.2), first)


def test_what_is_not_yet_loaded_loads_itself(espeak):
    early = join(EspeakProvider().synthesize(utterance("Good morning.")))
    assert np.array_equal(early.samples, join(espeak.synthesize(utterance("Good morning."))).samples)


def test_threads_do_not_disturb_each_other(espeak):
    texts = [f"This is sentence number {n}." for n in range(12)]

    def speak(text):
        return join(espeak.synthesize(utterance(text))).samples.tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(speak, texts)) == [speak(text) for text in texts]


def test_paragraphs_are_chunks_with_a_pause_between(espeak):
    together = list(espeak.synthesize(utterance("First paragraph.\n\nSecond paragraph.")))
    alone = [join(espeak.synthesize(utterance(text))) for text in ("First paragraph.", "Second paragraph.")]
    assert len(together) == 2
    pause_s = (len(together[0].samples) - len(alone[0].samples)) / alone[0].sample_rate_hz
    assert 0.1 < pause_s < 1.0
    assert np.array_equal(together[1].samples, alone[1].samples)


def test_a_text_without_anything_to_say_is_a_failure(espeak):
    with pytest.raises(NothingToSay):
        join(espeak.synthesize(utterance("...")))


def test_a_text_that_crashes_the_library_fails_alone(espeak):
    with pytest.raises(EngineFailed):
        join(espeak.synthesize(utterance("`", language="vi")))
    assert sounding_s(join(espeak.synthesize(utterance("Xin chào", language="vi")))) > 0.3


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        (None, "gmw/de"),
        ("f2", "gmw/de+f2"),
        ("Mr serious", "gmw/de+Mr serious"),
        ("en-us", "gmw/en-US"),
        ("en-US+f3", "gmw/en-US+f3"),
        ("eu", "eu"),
    ],
)
def test_a_voice_is_a_variant_of_the_language_or_a_voice_of_its_own(voices, wanted, name):
    assert voices.find("de", wanted).name == name


@pytest.mark.parametrize("wanted", ["", "+", "+f2", "en-us+", "en-us+no", "no+f2", "f2+f2", "gmw/en-US", "3"])
def test_a_name_that_is_only_almost_a_voice_is_not_found(voices, wanted):
    with pytest.raises(VoiceNotFound, match="'en-us\\+f2'"):
        voices.find("de", wanted)


def test_a_variant_changes_the_voice(espeak):
    male, female = (join(espeak.synthesize(utterance(voices={"espeak": name}))) for name in ("m3", "f2"))
    assert fundamental_hz(female) > 1.5 * fundamental_hz(male)


def test_a_voice_speaks_at_the_pitch_of_its_file(voices):
    assert voices.find("en-US") == Voice("gmw/en-US", 80, 118)
    assert voices.find("vi") == Voice("aav/vi", 95, 175)
    assert voices.find("vi", "f2") == Voice("aav/vi+f2", 142, 220)
    assert voices.find("vi", "klatt") == Voice("aav/vi+klatt", 80, 118)


def test_every_language_is_a_canonical_tag_with_a_voice_of_the_library(voices):
    spoken_with = {voices.find(tag).name.rpartition("/")[2].lower() for tag in ESPEAK_LANGUAGES}
    listed = {path.name.lower() for path in (DATA / "lang").rglob("*") if path.is_file()}
    assert spoken_with == listed - LEFT_OUT
    assert {tag for tag in ESPEAK_LANGUAGES if normalize_language(tag) != tag} == set()
    assert set(AUTONYMS) == ESPEAK_LANGUAGES


@pytest.mark.parametrize(
    "asked", ["zh-CN", "zh-TW", "zh-HK", "en-AU", "es-MX", "fr-CA", "de-AT", "no", "sr-Latn"]
)
def test_a_listeners_dialect_is_spoken_by_its_nearest_voice(espeak, asked):
    assert sounding_s(join(espeak.synthesize(utterance("1, 2, 3", language=asked)))) > 0.3


def test_a_language_it_does_not_know_is_an_error(espeak):
    with pytest.raises(VoiceNotFound, match="'tlh'"):
        join(espeak.synthesize(utterance(language="tlh")))


def test_a_missing_library_names_the_remedy():
    with pytest.raises(ModelLoadFailed, match="install espeakng-loader again"):
        EspeakLibrary(Path("/no/such/library.so"), DATA)


# In processes of their own, because the library's one global state would take the broken data over.
@pytest.mark.parametrize("data", ["missing", "empty"])
def test_missing_data_names_the_remedy_and_no_other_data_is_taken(tmp_path, data):
    (tmp_path / "empty").mkdir()
    process = start_library(tmp_path / data, ESPEAK_DATA_PATH=str(DATA), HOME=str(DATA.parent))
    assert "ModelLoadFailed" in process.stderr
    assert "install espeakng-loader again" in process.stderr


def test_data_at_a_long_path_is_found(tmp_path):
    data = tmp_path / ("deep" * 20) / ("deeper" * 20)
    shutil.copytree(DATA, data)
    assert start_library(data).stdout == start_library(DATA).stdout != ""


def start_library(data: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from pathlib import Path; from workers.providers.espeak_library import *\n"
        "library = EspeakLibrary(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(len(library.render('Hello.', 'eu', NEUTRAL, end_pause=False)))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(LIBRARY), str(data)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
