"""What the quality gate refuses: espeak's speech, damaged; and that it lets all speech pass."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import soxr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from shared.catalog import CATALOG
from shared.errors import (
    BrokenAudio,
    ClippedAudio,
    CutOffAudio,
    ImplausibleLength,
    NothingToSay,
    RunawayAudio,
    SilentAudio,
)
from shared.settings import Settings
from tests.voices import make_voices
from tests.workers.passages import ODD_TEXTS, PASSAGES
from tests.workers.utterances import utterance
from workers.audio import join
from workers.provider import AudioChunk, load_provider
from workers.quality import judge, measure

TEXT = PASSAGES["en"]


@pytest.fixture(scope="module")
def espeak():
    return load_provider(CATALOG["espeak"], Settings.load())


@pytest.fixture(scope="module")
def piper(tmp_path_factory):
    models = make_voices(tmp_path_factory.mktemp("models"))
    return load_provider(CATALOG["piper"], Settings.load(VOICEFARM_MODEL_DIR=str(models)))


@pytest.fixture(scope="module")
def speech(espeak) -> AudioChunk:
    """Some five seconds."""
    return join(espeak.synthesize(utterance(TEXT)))


def tone(seconds, rate_hz, *, hz=110.0, overtones=10, level=0.2):
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = sum(np.sin(2 * np.pi * hz * n * times) / n for n in range(1, overtones + 1))
    return (level * wave / np.abs(wave).max()).astype(np.float32)


def noise(seconds, rate_hz):
    return np.random.default_rng(1).normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32)


def with_one(value):
    def damage(samples, _rate_hz):
        damaged = samples.copy()
        damaged[len(samples) // 2] = value
        return damaged

    return damage


def cut_in_a_vowel(samples, rate_hz):
    """End at the loudest moment of the second half."""
    half = len(samples) // 2
    frame = round(0.005 * rate_hz)
    powers = np.square(samples[half : half + (len(samples) - half) // frame * frame]).reshape(-1, frame)
    return samples[: half + (int(powers.sum(axis=1).argmax()) + 1) * frame]


def with_silence(seconds):
    def damage(samples, rate_hz):
        first, second = np.array_split(samples, 2)
        return np.concatenate([first, np.zeros(round(seconds * rate_hz), np.float32), second])

    return damage


@pytest.mark.parametrize(
    ("error", "damage"),
    [
        (SilentAudio, lambda samples, _: samples[:0]),
        (SilentAudio, lambda samples, _: samples * 0),
        (SilentAudio, lambda samples, _: samples * 0.0005),
        (SilentAudio, lambda samples, _: samples * 0 + 0.5),
        (BrokenAudio, with_one(np.nan)),
        (BrokenAudio, with_one(-np.inf)),
        (BrokenAudio, lambda samples, _: samples * np.nan),
        (ClippedAudio, lambda samples, _: np.clip(50 * samples, -1, 1)),
        (ClippedAudio, lambda samples, _: np.clip(50 * samples, -1, 1) * 0.3),
        (ClippedAudio, lambda samples, rate_hz: np.append(samples, np.ones(rate_hz // 10, np.float32))),
        (ImplausibleLength, lambda samples, rate_hz: samples[: rate_hz // 2]),
        (RunawayAudio, lambda samples, _: np.tile(samples, 8)),
        (RunawayAudio, lambda samples, rate_hz: noise(len(samples) / rate_hz, rate_hz)),
        (RunawayAudio, lambda samples, rate_hz: np.append(samples, noise(3, rate_hz))),
        (RunawayAudio, lambda samples, rate_hz: np.append(samples, tone(3, rate_hz))),
        (RunawayAudio, lambda samples, rate_hz: np.append(samples, tone(3, rate_hz, hz=997, overtones=1))),
        (RunawayAudio, lambda samples, rate_hz: np.append(tone(3, rate_hz, hz=50, overtones=30), samples)),
        (RunawayAudio, with_silence(4)),
        (RunawayAudio, lambda samples, rate_hz: np.append(np.zeros(4 * rate_hz, np.float32), samples)),
        (RunawayAudio, lambda samples, rate_hz: np.append(samples, np.zeros(4 * rate_hz, np.float32))),
        (CutOffAudio, cut_in_a_vowel),
    ],
    ids=[
        "empty", "zeros", "below hearing", "an offset", "one NaN", "one infinity", "all NaN",
        "clipped", "clipped and quiet", "stuck", "the beginning", "eight times", "noise",
        "noise at the end", "a hum at the end", "a tone at the end", "a hum at the beginning",
        "a silent middle", "silence before", "silence after", "cut in a vowel",
    ],
)  # fmt: skip
def test_damaged_speech_is_refused(speech, error, damage):
    damaged = damage(speech.samples, speech.sample_rate_hz).astype(np.float32)
    with pytest.raises(error) as refusal:
        judge(AudioChunk(damaged, speech.sample_rate_hz), utterance(TEXT))
    assert type(refusal.value) is error
    assert TEXT[:9] not in refusal.value.detail


@pytest.mark.parametrize(
    "change",
    [
        lambda samples, _: samples,
        lambda samples, _: np.clip(3 * samples, -1, 1),
        lambda samples, _: 0.02 * samples,
        lambda samples, _: samples + 0.1,
        lambda samples, rate_hz: samples + 0.05 * noise(len(samples) / rate_hz, rate_hz)[: len(samples)],
        with_silence(1.5),
        lambda samples, rate_hz: np.append(samples, np.zeros(rate_hz, np.float32)),
    ],
    ids=["as it is", "10 dB too loud", "quiet", "an offset", "some noise", "a long pause", "a silent end"],
)
def test_speech_that_is_no_worse_than_speech_may_be_passes(speech, change):
    changed = change(speech.samples, speech.sample_rate_hz).astype(np.float32)
    judge(AudioChunk(changed, speech.sample_rate_hz), utterance(TEXT))


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_the_sample_rate_does_not_matter(speech, rate_hz):
    resampled = AudioChunk(soxr.resample(speech.samples, speech.sample_rate_hz, rate_hz), rate_hz)
    judge(resampled, utterance(TEXT))
    with pytest.raises(RunawayAudio):
        judge(AudioChunk(np.append(resampled.samples, tone(3, rate_hz)), rate_hz), utterance(TEXT))


def test_a_text_that_is_drawn_out_may_sound_on_and_on():
    hum = tone(3, 22_050)
    held = AudioChunk(np.append(hum, hum * np.linspace(1, 0, len(hum), dtype=np.float32)), 22_050)
    judge(held, utterance("Mmmmmmmmmm!"))
    with pytest.raises(RunawayAudio, match="steady"):
        judge(held, utterance("Something else."))


def test_slow_speech_may_pause_and_hold_a_sound_for_longer(espeak, speech):
    slow = join(espeak.synthesize(utterance(TEXT, speed=0.25)))
    paused = with_silence(8)(slow.samples, slow.sample_rate_hz)
    judge(AudioChunk(paused, slow.sample_rate_hz), utterance(TEXT, speed=0.25))
    with pytest.raises(RunawayAudio, match=r"silent for [89]\.\d s"):
        judge(AudioChunk(with_silence(8)(speech.samples, 22_050), 22_050), utterance(TEXT))


@pytest.mark.parametrize(
    ("text", "seconds"), [("Hi", 6), ("5", 6), ("Good morning.", 12), ("你好", 6), ("Привет", 8)]
)
def test_babble_after_a_short_text_is_refused(espeak, text, seconds):
    language = {"你好": "zh", "Привет": "ru"}.get(text, "en")
    babble = join(espeak.synthesize(utterance(PASSAGES["en"] * 3, language="en")))
    with pytest.raises(RunawayAudio, match="too long"):
        judge(AudioChunk(babble.samples[: seconds * 22_050], 22_050), utterance(text, language=language))


def test_a_sound_of_a_single_sample_is_measured():
    assert measure(AudioChunk(np.ones(1, np.float32), 22_050)).sounding_s == 0
    assert measure(AudioChunk(np.empty(0, np.float32), 22_050)).duration_s == 0


# The same examples each time: over all that can be said, that none is refused is measured and not proved.
@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    language=st.sampled_from(sorted(PASSAGES)),
    text=st.one_of(
        st.sampled_from(sorted(PASSAGES.values())),
        st.sampled_from([text for text in ODD_TEXTS if len(text) <= 200]),
        st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=30),
    ),
    share=st.floats(0.1, 1.0),
    times=st.sampled_from([1, 1, 1, 5]),
    speed=st.one_of(st.just(1.0), st.floats(0.25, 4.0)),
    pitch=st.one_of(st.just(0.0), st.floats(-20.0, 20.0)),
)
@example(language="en", text=TEXT, share=1.0, times=32, speed=1.0, pitch=0.0)
@example(language="as", text="অসমীয়া", share=1.0, times=30, speed=1.0, pitch=0.0)  # the slowest to say
@example(language="th", text="Hi", share=1.0, times=1, speed=4.0, pitch=20.0)
def test_what_espeak_says_passes(espeak, language, text, share, times, speed, pitch):
    said = " ".join([text[: max(1, round(share * len(text)))]] * times).strip()
    assume(said)
    spoken = utterance(said, language=language, speed=speed, pitch=pitch)
    try:
        sound = join(espeak.synthesize(spoken))
    except NothingToSay:
        return
    judge(sound, spoken)


@pytest.mark.parametrize("speed", [0.25, 1.0, 4.0])
def test_what_piper_says_passes(piper, speed):
    said = [(PASSAGES[language], language) for language in ("de", "en", "fr", "zh")]
    for text, language in [*said, *product(ODD_TEXTS, ("en", "fr"))]:
        if speed < 1 and len(text) > 40:
            continue  # stretching it takes seconds
        spoken = utterance(text, language=language, speed=speed)
        try:
            sound = join(piper.synthesize(spoken))
        except NothingToSay:
            continue
        judge(sound, spoken)
