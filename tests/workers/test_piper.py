"""Piper: its voices, its laws of speed, pitch and loudness, and what is broken or crashes it."""

# ruff: noqa: RUF001  these letters and marks are meant

from __future__ import annotations

import gc
import json
import weakref
from math import exp2

import numpy as np
import psutil
import pytest

from shared.errors import EngineFailed, ModelLoadFailed, NothingToSay, VoiceNotFound
from shared.settings import Settings
from shared.voices import Gender
from tests.voices import HIGH_HZ, LOW_HZ, make_voice, make_voices
from tests.workers.acoustics import fundamental_hz, sounding_s
from tests.workers.utterances import VOICED_TEXT, utterance
from workers.audio import join
from workers.providers.piper import PiperProvider
from workers.providers.piper_text import MAX_PHONEMES, PARAGRAPH_PAUSE_S, SENTENCE_PAUSE_S

AMY, RYAN, ALAN = "en_US-amy-medium", "en_US-ryan-medium", "en_GB-alan-medium"
SIWIS, HUAYAN, PAIR = "fr_FR-siwis-medium", "zh_CN-huayan-medium", "de_DE-pair-medium"
TWO_SENTENCES = "The quick brown fox jumps over the lazy dog. Please leave your message after the tone."
SPEEDS = [0.25, 0.4, 0.5, 0.8, 0.9, 1.05, 1.3, 1.8, 2.0, 2.5, 4.0]
PITCHES = [-20.0, -14.0, -8.0, -3.0, -0.2, 0.2, 3.0, 9.0, 14.0, 20.0]


@pytest.fixture
def models(tmp_path):
    """A model folder with the voices of the tests."""
    return make_voices(tmp_path)


def provider_of(models, **settings):
    return PiperProvider.from_settings(Settings.load(VOICEFARM_MODEL_DIR=str(models), **settings))


@pytest.fixture
def piper(models):
    return provider_of(models)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A provider for the tests that change nothing."""
    provider = provider_of(make_voices(tmp_path_factory.mktemp("models")))
    provider.load()
    return provider


def say(provider, text=VOICED_TEXT, voice=None, **fields):
    voices = {} if voice is None else {"piper": voice}
    return join(provider.synthesize(utterance(text, voices=voices, **fields)))


def read(provider, text, voice=AMY):
    """The phonemes that a voice speaks for a text, by piece."""
    return ["".join(piece.phonemes) for piece in provider._resident(voice).read(text)]


@pytest.fixture(
    params=[(voice, text) for voice in (AMY, RYAN) for text in (VOICED_TEXT, TWO_SENTENCES)],
    ids=lambda case: f"{case[0]}-{case[1][:6]}",
)
def speak(request, kept):
    """Speak one text in one voice at any speed and pitch."""
    voice, text = request.param
    return lambda **fields: say(kept, text, voice, **fields)


def test_length_follows_speed_and_the_fundamental_stays_over_the_whole_range(speak):
    plain = speak()
    fundamental, length, sounding = fundamental_hz(plain), len(plain.samples), sounding_s(plain)
    for speed in SPEEDS:
        changed = speak(speed=speed)
        assert len(changed.samples) * speed == pytest.approx(length, rel=0.06), speed
        assert sounding_s(changed) * speed == pytest.approx(sounding, rel=0.06), speed
        assert fundamental_hz(changed) == pytest.approx(fundamental, rel=0.03), speed


def test_the_fundamental_follows_pitch_and_the_length_stays_over_the_whole_range(speak):
    plain = speak()
    fundamental, length, sounding = fundamental_hz(plain), len(plain.samples), sounding_s(plain)
    for pitch in PITCHES:
        changed, ratio = speak(pitch=pitch), exp2(pitch / 12)
        heard = fundamental_hz(changed, transposed=ratio)
        assert heard == pytest.approx(fundamental * ratio, rel=0.03), pitch
        assert len(changed.samples) == pytest.approx(length, rel=0.01), pitch
        assert sounding_s(changed) == pytest.approx(sounding, rel=0.03), pitch


def test_speed_and_pitch_hold_together_in_the_corners(kept):
    plain = say(kept)
    for speed in (0.25, 4.0):
        for pitch in (-20.0, 20.0):
            changed, ratio = say(kept, speed=speed, pitch=pitch), exp2(pitch / 12)
            assert len(changed.samples) * speed == pytest.approx(len(plain.samples), rel=0.06)
            heard = fundamental_hz(changed, transposed=ratio)
            assert heard == pytest.approx(fundamental_hz(plain) * ratio, rel=0.03)


def test_plain_speech_is_the_voices_own_but_for_one_gain(kept):
    voice = kept._resident(AMY)
    [piece] = voice.read(VOICED_TEXT)
    own = voice._voice.phoneme_ids_to_audio(voice._voice.phonemes_to_ids(list(piece.phonemes)))
    spoken = say(kept, voice=AMY).samples
    assert np.array_equal(spoken, np.float32(voice._gains[None]) * own)


def test_speed_one_is_no_slower_than_the_voice_was_trained(models):
    slow = {"inference": {"noise_scale": 0.667, "length_scale": 1.1, "noise_w": 0.8}}
    make_voice(models, "en_US-slow-medium", **slow)
    piper = provider_of(models)
    assert np.array_equal(say(piper, voice="en_US-slow-medium").samples, say(piper, voice=RYAN).samples)


def test_equal_utterances_sound_equal_whatever_was_spoken_between(kept):
    first = say(kept, "你好 world", language="zh-CN", speed=1.7)
    say(kept, pitch=7.0)
    assert np.array_equal(say(kept, "你好 world", language="zh-CN", speed=1.7).samples, first.samples)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_voice_keeps_its_sample_rate(models, rate):
    make_voice(models, "en_US-other-low", audio={"sample_rate": rate})
    assert say(provider_of(models), voice="en_US-other-low").sample_rate_hz == rate


def test_sentences_are_chunks_with_pauses_between_that_follow_speed(kept):
    texts = ["One sentence.", "Another one!", "A new paragraph."]
    rate = say(kept).sample_rate_hz
    for speed in (0.5, 1.0, 2.0):
        chunks = list(kept.synthesize(utterance(f"{texts[0]} {texts[1]}\n\n{texts[2]}", speed=speed)))
        alone = [say(kept, text, speed=speed) for text in texts]
        pauses_s = [
            (len(chunk.samples) - len(own.samples)) / rate for chunk, own in zip(chunks, alone, strict=True)
        ]
        wanted_s = [SENTENCE_PAUSE_S / speed, PARAGRAPH_PAUSE_S / speed, 0.0]
        assert pauses_s == pytest.approx(wanted_s, abs=1e-3)


def test_a_quiet_sentence_stays_quieter_than_a_loud_one(kept):
    voice = kept._resident(AMY)
    quiet, loud = "S.", "We were away a year ago."
    own = {}
    for text in (quiet, loud):
        [piece] = voice.read(text)
        own[text] = np.abs(
            voice._voice.phoneme_ids_to_audio(voice._voice.phonemes_to_ids(list(piece.phonemes)))
        ).max()
    heard = [
        np.abs(chunk.samples).max()
        for chunk in kept.synthesize(utterance(f"{quiet} {loud}", voices={"piper": AMY}))
    ]
    assert own[quiet] != pytest.approx(own[loud], rel=0.05)
    assert heard[0] / heard[1] == pytest.approx(own[quiet] / own[loud], rel=1e-3)


def test_voices_of_every_level_speak_equally_loud(models):
    levels = {"en_US-faint-low": 0.001, "en_US-soft-low": 0.03, "en_US-loud-low": 1.5}
    for name, level in levels.items():
        make_voice(models, name, level=level)
    piper = provider_of(models)
    heard = [np.sqrt(np.square(say(piper, voice=name).samples).mean()) for name in levels]
    assert heard == pytest.approx([0.11] * 3, rel=0.1)


@pytest.mark.parametrize(
    ("fields", "fundamental"),
    [
        ({"language": "en"}, HIGH_HZ),
        ({"language": "en", "gender": Gender.MALE}, LOW_HZ),
        ({"language": "en-US", "gender": Gender.FEMALE}, HIGH_HZ),
        ({"language": "en-GB", "gender": Gender.FEMALE}, LOW_HZ),
        ({"language": "fr-CA", "gender": Gender.MALE}, HIGH_HZ),
        ({"voice": RYAN}, LOW_HZ),
        ({"voice": ALAN, "language": "en-AU", "gender": Gender.FEMALE}, LOW_HZ),
        ({"voice": f"{PAIR}#alto", "language": "de"}, 1.5 * LOW_HZ),
        ({"voice": f"{PAIR}#1", "language": "de"}, 1.5 * LOW_HZ),
        ({"voice": f"{PAIR}#tenor", "language": "de"}, LOW_HZ),
        ({"voice": PAIR, "language": "de-AT"}, LOW_HZ),
        ({"voice": f"{AMY}#0"}, HIGH_HZ),
        ({"voice": f"{PAIR}#1", "language": "fr"}, HIGH_HZ),
        ({"voice": SIWIS, "language": "en"}, HIGH_HZ),
        ({"voice": ALAN, "language": "fr"}, HIGH_HZ),
        ({"voice": HUAYAN, "language": "en", "gender": Gender.MALE}, LOW_HZ),
    ],
)
def test_a_voice_is_chosen_by_name_language_and_gender(kept, fields, fundamental):
    assert fundamental_hz(say(kept, **fields)) == pytest.approx(fundamental, rel=0.03)


@pytest.mark.parametrize(
    "voice",
    ["amy", f"{AMY}.onnx", f"piper/{AMY}", f"../piper/{AMY}", "en_us-amy-medium", "#0", f"#{AMY}"],
)
def test_a_name_that_is_only_almost_a_voice_is_not_found(kept, voice):
    with pytest.raises(VoiceNotFound, match=AMY):
        say(kept, voice=voice)


@pytest.mark.parametrize("speaker", ["bass", "Alto", "2", "-1", "1.0", "", "9" * 5000])
def test_an_unknown_speaker_is_an_error(kept, speaker):
    with pytest.raises(VoiceNotFound, match="no speaker"):
        say(kept, voice=f"{PAIR}#{speaker}", language="de")


def test_the_table_of_voices_can_be_replaced(models, monkeypatch):
    monkeypatch.setenv("VOICEFARM_PIPER_VOICES", json.dumps({"en-US": {RYAN: "male", AMY: "female"}}))
    piper = provider_of(models)
    assert fundamental_hz(say(piper)) == pytest.approx(LOW_HZ, rel=0.03)


def test_a_voice_stays_in_memory_until_others_need_its_place(models):
    piper = provider_of(models, VOICEFARM_PIPER_RESIDENT_VOICES="2")
    for voice in (AMY, RYAN, AMY, RYAN, AMY):
        say(piper, voice=voice)
    assert piper._resident.cache_info().misses == 2
    oldest = weakref.ref(piper._resident(RYAN))
    say(piper, voice=AMY)
    say(piper, "Bonjour", language="fr")
    gc.collect()
    assert oldest() is None
    assert piper._resident.cache_info().currsize == 2


def test_one_thread_runs_a_voice(kept):
    threads = psutil.Process().num_threads()
    voice = kept._resident(AMY)
    options = voice._voice.session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    say(kept)
    assert psutil.Process().num_threads() == threads


def test_loading_makes_the_first_voice_of_the_table_ready(piper):
    piper.load()
    assert piper._resident.cache_info().currsize == 1
    say(piper)
    assert piper._resident.cache_info().misses == 1


BROKEN_NETWORKS = {
    "empty": b"",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 63201294\n",
    "cut off": None,
}
BROKEN_DESCRIPTIONS = {
    "no JSON": "{",
    "no object": "[]",
    "incomplete": '{"audio": {"sample_rate": 22050}}',
}


def assert_broken(models, voice, told):
    """Show that a voice is an error that names its file and the remedy, while the others go on speaking."""
    piper = provider_of(models)
    piper.load()
    with pytest.raises(ModelLoadFailed, match=told) as failure:
        say(piper, voice=voice)
    assert str(models) in failure.value.detail
    assert say(piper, voice=RYAN)


@pytest.mark.parametrize("content", BROKEN_NETWORKS.values(), ids=BROKEN_NETWORKS)
def test_a_broken_network_names_the_remedy(models, content):
    file = models / "piper" / f"{AMY}.onnx"
    file.write_bytes(file.read_bytes()[:-500] if content is None else content)
    assert_broken(models, AMY, "put the voice's two files there anew")


def test_a_network_of_another_kind_names_the_remedy(models):
    file = models / "piper" / f"{AMY}.onnx"
    file.write_bytes((models / "piper" / f"{PAIR}.onnx").read_bytes())
    assert_broken(models, AMY, "no network of a Piper voice; put the voice's two files there anew")


@pytest.mark.parametrize("content", BROKEN_DESCRIPTIONS.values(), ids=BROKEN_DESCRIPTIONS)
def test_a_broken_description_names_the_remedy(models, content):
    (models / "piper" / f"{AMY}.onnx.json").write_text(content)
    assert_broken(models, AMY, "put the voice's two files there anew")


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"phoneme_type": "pinyin"}, "asks for pinyin phonemes"),
        ({"phoneme_type": "runes"}, "describes no voice"),
        ({"espeak": {"voice": "tlh"}}, "unknown espeak voice 'tlh'"),
        ({"espeak": {"voice": None}}, "unknown espeak voice None"),
        ({"phoneme_id_map": {"_": [999], "^": [1], "$": [2], "w": [3]}}, "no network of a Piper voice"),
    ],
)
def test_a_description_that_cannot_be_followed_says_so(models, described, told):
    make_voice(models, AMY, **described)
    assert_broken(models, AMY, told)


def test_a_voice_whose_language_nobody_knows_speaks_when_it_is_named(models):
    make_voice(models, "own", fundamental_hz=150.0, espeak_voice="en-us", language={"code": "?"})
    piper = provider_of(models)
    assert fundamental_hz(say(piper, voice="own", language="fr")) == pytest.approx(150.0, rel=0.03)
    (models / "piper" / "own.onnx.json").write_text("{")
    assert_broken(models, "own", "put the voice's two files there anew")


def test_a_folder_without_voices_says_what_to_put_there(tmp_path):
    piper = provider_of(tmp_path)
    for attempt in (piper.load, lambda: say(piper)):
        with pytest.raises(ModelLoadFailed, match=r"no voice in piper of .*NAME\.onnx\.json"):
            attempt()


def test_a_text_that_crashes_espeak_fails_alone(kept):
    with pytest.raises(EngineFailed, match="crashed"):
        say(kept, "🏪🚼", language="de")
    assert sounding_s(say(kept, "Guten Tag.", language="de")) > 0.3


def test_a_text_without_anything_to_say_is_a_failure(kept):
    for text in ("...", ". . .\n\n.", "\u200b"):
        with pytest.raises(NothingToSay):
            say(kept, text)


def test_phonemes_that_the_voice_does_not_know_are_left_out(models):
    known = {"_": [0], "^": [1], "$": [2], " ": [3], ".": [10], "w": [35], "ˈ": [120], "ɪ": [74]}
    make_voice(models, "en_US-few-low", phoneme_id_map=known)
    piper = provider_of(models)
    assert read(piper, "With a wish.", "en_US-few-low") == ["wɪ  wˈɪ."]
    with pytest.raises(NothingToSay):
        say(piper, "A car.", "en_US-few-low")


@pytest.mark.parametrize(
    ("voice", "text", "same_as"),
    [
        (HUAYAN, "你好，世界。今天很好！", "你好, 世界. 今天很好!"),
        (HUAYAN, "苹果、香蕉；是吗？", "苹果, 香蕉; 是吗?"),
        (HUAYAN, "部屋は１２３", "部屋は123"),
        (SIWIS, "¿Qué tal?", "Qué tal?"),
        (AMY, "Well… yes", "Well, yes"),
    ],
)
def test_marks_of_other_scripts_are_read_like_those_of_ascii(kept, voice, text, same_as):
    phonemes = read(kept, text, voice)
    assert phonemes == read(kept, same_as, voice)
    assert phonemes


def test_every_character_of_chinese_is_spoken(kept):
    lengths = [len(read(kept, "好" * count, HUAYAN)[0]) for count in range(1, 12)]
    assert lengths == sorted(set(lengths)), "each one adds something"


def test_another_script_is_not_passed_over(kept):
    assert sounding_s(say(kept, "東京", voice=AMY)) > 0.5


def test_double_brackets_are_text_and_no_phonemes(kept):
    assert read(kept, "Say [[hello]] now.") == read(kept, "Say hello now.")


def test_arabic_gets_the_vowels_that_are_not_written(models):
    make_voice(models, "ar_JO-test-medium", espeak_voice="ar")
    piper = provider_of(models)
    [with_vowels] = read(piper, "كتب الولد الدرس", "ar_JO-test-medium")
    [without] = piper._reader._espeak.phonemize("ar", "كتب الولد الدرس")
    assert len(with_vowels) > len(without)
    assert sounding_s(say(piper, "كتب الولد الدرس", language="ar")) > 0.5


def test_a_voice_made_for_letters_is_given_letters(models):
    letters = {letter: [14 + number] for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    letters |= {"_": [0], "^": [1], "$": [2], " ": [3]}
    make_voice(models, "en_US-letters-low", phoneme_type="text", phoneme_id_map=letters)
    assert read(provider_of(models), "we are\n\nhere", "en_US-letters-low") == ["we are", "here"]


def test_a_sentence_that_is_too_long_is_spoken_in_pieces_without_pauses(kept):
    text = "and on we go to the river " * 60
    pieces = kept._resident(AMY).read(text)
    assert len(pieces) > 1
    assert max(len(piece.phonemes) for piece in pieces) <= MAX_PHONEMES
    assert {piece.pause_s for piece in pieces} == {0.0}
    [whole] = kept._reader._espeak.phonemize("en-us", text)
    assert [phoneme for piece in pieces for phoneme in piece.phonemes] == whole
