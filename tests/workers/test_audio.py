"""Joining, stretching and judging sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared.errors import BrokenAudio, EngineFailed
from tests.workers.acoustics import fundamental_hz
from workers.audio import duration_ms, is_audible, join, stretch
from workers.provider import AudioChunk

RATE_HZ = 22_050
SOME = settings(max_examples=30, deadline=None)  # a deadline would measure the machine


def tone(frequency_hz: float = 200.0, seconds: float = 1.0, level: float = 0.5) -> AudioChunk:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    overtones = sum(np.sin(2 * np.pi * frequency_hz * n * times) / n for n in range(1, 9))
    return AudioChunk((level * overtones / np.abs(overtones).max()).astype(np.float32), RATE_HZ)


def silence(seconds: float) -> AudioChunk:
    return AudioChunk(np.zeros(round(seconds * RATE_HZ), np.float32), RATE_HZ)


sounds = npst.arrays(
    np.float32, st.integers(1, 500), elements=st.floats(-1, 1, width=32, allow_subnormal=False)
).filter(lambda samples: np.abs(samples).max() > 0.01)


@SOME
@given(st.lists(sounds, min_size=1, max_size=5))
def test_joining_keeps_every_sample_in_order(pieces):
    joined = join(AudioChunk(piece, RATE_HZ) for piece in pieces)
    assert joined.samples.dtype == np.float32
    assert joined.samples.tolist() == [sample for piece in pieces for sample in piece.tolist()]


def test_nothing_to_join_is_a_failure():
    with pytest.raises(EngineFailed, match="no sound"):
        join([])


def test_chunks_of_two_sample_rates_are_a_failure():
    with pytest.raises(EngineFailed, match="22050, 24000"):
        join([tone(), AudioChunk(tone().samples, 24_000)])


def test_an_error_while_the_chunks_come_passes_through():
    def chunks():
        yield tone()
        raise EngineFailed("it broke")

    with pytest.raises(EngineFailed, match="it broke"):
        join(chunks())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_neither_joined_nor_stretched(bad):
    samples = tone().samples
    samples[100] = bad
    broken = AudioChunk(samples, RATE_HZ)
    with pytest.raises(BrokenAudio, match="1 of the 22050 samples"):
        join([tone(), broken])
    with pytest.raises(BrokenAudio):
        stretch(broken, speed=1.5, pitch_semitones=0.0)


def test_what_follows_broken_samples_is_not_waited_for():
    def chunks():
        yield AudioChunk(np.full(10, np.nan, np.float32), RATE_HZ)
        raise EngineFailed("it was asked for more")

    with pytest.raises(BrokenAudio):
        join(chunks())


@pytest.mark.parametrize(
    "chunk", [silence(0), silence(1), tone(level=0.0009)], ids=["empty", "zeros", "-61 dB"]
)
def test_silence_is_not_audible(chunk):
    assert not is_audible(chunk)


def test_a_whisper_is_audible():
    assert is_audible(tone(level=0.002))


def test_the_duration_is_that_of_the_samples():
    assert duration_ms(tone(seconds=1.25)) == 1250
    assert duration_ms(silence(0)) == 0


def test_stretching_by_nothing_gives_the_very_same_sound():
    chunk = tone()
    assert stretch(chunk, speed=1.0, pitch_semitones=0.0) is chunk


@SOME
@given(speed=st.floats(0.25, 4.0), semitones=st.floats(-20, 20))
def test_stretching_divides_the_length_by_the_speed_alone(speed, semitones):
    chunk = tone()
    stretched = stretch(chunk, speed=speed, pitch_semitones=semitones)
    assert len(stretched.samples) == pytest.approx(len(chunk.samples) / speed, abs=1)
    assert stretched.sample_rate_hz == RATE_HZ
    assert np.abs(stretched.samples).max() <= 1.0


@SOME
@given(speed=st.floats(0.25, 4.0), semitones=st.floats(-20, 20))
def test_stretching_moves_the_fundamental_by_the_semitones_alone(speed, semitones):
    ratio = 2 ** (semitones / 12)
    stretched = stretch(tone(seconds=2), speed=speed, pitch_semitones=semitones)
    assert fundamental_hz(stretched, transposed=ratio) == pytest.approx(200 * ratio, rel=0.03)


def test_stretching_equal_sounds_gives_equal_samples():
    first, second = (stretch(tone(), speed=1.3, pitch_semitones=4.0).samples for _ in range(2))
    assert np.array_equal(first, second)
