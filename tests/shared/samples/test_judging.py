"""What is refused, what is warned of, and what passes: each a sound made here."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import BadSample
from shared.samples.records import Rating
from tests.shared.samples.inspected import heard, inspected
from tests.shared.samples.sounds import (
    RATE_HZ,
    beeping,
    clipped,
    encoded,
    gliding,
    hum,
    in_room,
    noise,
    resampled,
    silence,
    speech,
    times,
    tone,
    with_noise,
)

VOICES = ["en-US", "en-GB", "de", "fr", "es", "it", "pl", "nl", "pt-BR", "sv", "tr"]
TUNE_HZ = np.random.default_rng(1).choice([262, 294, 330, 392, 440, 523], 40)

NO_SPEECH = {
    "white noise": noise(),
    "pink noise": noise("pink"),
    "brown noise": noise("brown"),
    "noise that swells": noise() * (1 + 0.95 * np.sin(2 * np.pi * 4 * times())),
    "noise that comes and goes": beeping(noise()),
    "a hum": hum(),
    "a hum in noise": hum() + noise(level=0.002),
    "a tone": tone(),
    "a tone in noise": tone() + noise(level=0.01),
    "a tone between silences": np.concatenate([silence(2), tone(), silence(2)]),
    "a tone that trembles": (1 + 0.3 * np.sin(2 * np.pi * 5 * times())) * hum(220, 0.2),
    "beeps": beeping(tone(1000)),
    "quick beeps": beeping(tone(1000), times_a_second=8),
    "beeps of a chord": beeping(0.4 * (tone(440) + tone(550) + tone(1800)), share=0.4),
    "beeps of a buzzer": beeping(0.2 * np.sign(tone(700)), share=0.4),
    "a buzzer": 0.3 * np.sign(tone(200)),
    "a siren": gliding(800 + 400 * np.sin(np.pi * times())),
    "a rising whistle": gliding(200 + 1500 * (times() % 2)),
    "a whistled tune": gliding(np.repeat(TUNE_HZ, RATE_HZ // 4)) * np.exp(-4 * (4 * times() % 1)),
}  # fmt: skip


@pytest.mark.parametrize("voice", VOICES)
def test_clean_speech_in_every_voice_is_excellent(voice):
    sample = heard(speech(voice))
    assert (sample.score, sample.rating, sample.warnings) == (100, Rating.EXCELLENT, ())


@pytest.mark.parametrize(("speed", "pitch"), [(0.7, 0), (1.5, 0), (1, -8), (1, 8), (1.3, 12)])
def test_slow_and_quick_deep_and_high_voices_are_excellent(speed, pitch):
    sample = heard(speech(speed=speed, pitch=pitch))
    assert sample.rating is Rating.EXCELLENT
    assert not [warning for warning in sample.warnings if "Noise" in warning]


@pytest.mark.parametrize("sound", NO_SPEECH.values(), ids=NO_SPEECH)
def test_what_is_no_speech_is_refused(sound):
    with pytest.raises(BadSample, match=r"not speech|a steady sound"):
        heard(sound)


@pytest.mark.parametrize(
    "sound", [silence(10), noise(level=0.0005), noise("pink", level=0.001), 0.3 + silence(10)]
)
def test_silence_and_an_empty_room_are_refused(sound):
    with pytest.raises(BadSample, match="silent or far too quiet"):
        heard(sound)


@pytest.mark.parametrize(("colour", "slight_db", "clear_db"), [("white", 17, 13), ("pink", 15, 10)])
def test_noise_is_refused_or_warned_of_by_how_loud_it_is(colour, slight_db, clear_db):
    clean, slight, clear = (
        heard(with_noise(speech(), snr_db, colour)) for snr_db in (30, slight_db, clear_db)
    )
    assert not clean.warnings
    assert slight.score == 85
    assert clear.score == 65
    assert all("Noise or echo can be heard" in sample.warnings[0] for sample in (slight, clear))
    with pytest.raises(BadSample, match=r"Noise or echo drowns|a steady sound"):
        heard(with_noise(speech(), 4, colour))


def test_noise_cannot_hide_behind_cut_in_silence():
    noisy = with_noise(speech(), 4)
    with pytest.raises(BadSample, match="Noise or echo drowns"):
        heard(np.concatenate([noisy, silence(3), noisy]))


def test_an_echoing_room_is_warned_of():
    assert not heard(in_room(speech(), 0.15)).warnings
    assert "Noise or echo can be heard" in heard(in_room(speech(), 0.4)).warnings[0]
    with pytest.raises(BadSample, match="Noise or echo drowns"):
        heard(in_room(speech(), 1.5))


@pytest.mark.parametrize("afterwards", [1.0, 0.3])
@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("MP3", None), ("OGG", "VORBIS")])
def test_clipped_speech_is_refused_in_every_format(afterwards, container, subtype):
    if afterwards < 1 and container != "WAV":
        afterwards = 1.0  # a lossy format rounds flat tops off, so only full scale betrays them
    with pytest.raises(BadSample, match="is clipped"):
        inspected(encoded(afterwards * clipped(speech(), 14), container=container, subtype=subtype))


def test_a_little_clipping_is_warned_of_and_a_full_scale_peak_is_not():
    sample = heard(clipped(speech(), 4))
    assert sample.score == 80
    assert "clipped" in sample.warnings[0]
    assert not heard(clipped(speech(), 0)).warnings


def test_a_single_pop_is_warned_of():
    popping = speech().copy()
    popping[5 * RATE_HZ :][:100] = 1.0
    assert "clipped" in heard(popping).warnings[0]


def test_one_clipped_channel_is_enough():
    both = np.stack([speech(), clipped(speech(), 14)], axis=1)
    with pytest.raises(BadSample, match="is clipped"):
        inspected(encoded(both))


def test_silence_around_speech_does_not_count():
    short = speech()[: 4 * RATE_HZ]
    with pytest.raises(BadSample, match=r"Without the silence around it, it is \d\.\d\d s long"):
        heard(np.concatenate([silence(5), short, silence(5)]))
    padded = heard(np.concatenate([silence(3), speech(), silence(3)]))
    assert (padded.score, padded.warnings) == (100, ())
    assert padded.measures.trimmed_s == pytest.approx(len(speech()) / RATE_HZ + 0.4, abs=0.2)


def test_a_few_words_in_much_silence_are_refused():
    with pytest.raises(BadSample, match=r"Only 1\.\d s of it can be heard"):
        heard(np.concatenate([speech()[: 2 * RATE_HZ], silence(20)]))


def test_long_pauses_are_warned_of():
    words = [part for piece in np.array_split(speech(), 4) for part in (piece, silence(3.5))]
    sample = heard(np.concatenate(words))
    assert sample.warnings == ("More than half of it is silence; leave shorter pauses.",)


def test_a_quiet_recording_is_warned_of():
    assert "very quiet" in heard(0.05 * speech()).warnings[0]


def test_an_offset_of_the_whole_recording_is_warned_of_and_changes_nothing_else():
    plain, offset = heard(0.5 * speech()), heard(0.5 * speech() - 0.3)
    assert offset.measures.snr_db == pytest.approx(plain.measures.snr_db, abs=1)
    assert offset.score == plain.score - 10
    assert "constant offset of 30 % of full scale" in offset.warnings[-1]
    assert heard(0.5 * speech() + 0.01).warnings == plain.warnings == ()


def test_the_score_falls_with_short_and_long_samples_and_with_low_rates():
    short = np.concatenate([speech(), speech()])[: 6 * RATE_HZ]
    long = np.concatenate([speech(), speech(), speech()])[: 27 * RATE_HZ]
    assert heard(short).score == 90
    assert heard(long).score == 95
    assert inspected(encoded(resampled(speech(), 16_000), 16_000)).score == 85
    assert inspected(encoded(resampled(speech(), 22_050), 22_050)).score == 100
    worst = inspected(encoded(resampled(short, 16_000), 16_000))
    assert (worst.score, worst.rating) == (75, Rating.GOOD)
    assert len(worst.warnings) == 2


@pytest.mark.parametrize(
    ("score", "rating"),
    [(100, "excellent"), (90, "excellent"), (89, "good"), (70, "good"), (69, "acceptable"), (49, "poor")],
)
def test_ratings_are_steps_of_the_score(score, rating):
    assert Rating.of(score) == rating
