"""Every format is decoded again and compared with what was encoded."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import BrokenAudio, SilentAudio
from shared.models import AudioFormat
from tests.workers.test_audio import silence, sounds, tone
from tests.workers.utterances import utterance
from workers.audio import join
from workers.encoding import Encoded, encode
from workers.provider import AudioChunk
from workers.providers.espeak import EspeakProvider

RATES_HZ = [16_000, 22_050, 24_000, 44_100, 48_000]
HEADERS = {
    AudioFormat.WAV: ("WAV", "PCM_16"),
    AudioFormat.MP3: ("MP3", "MPEG_LAYER_III"),
    AudioFormat.OPUS: ("OGG", "OPUS"),
    AudioFormat.FLAC: ("FLAC", "PCM_16"),
}
LOSSLESS = [AudioFormat.WAV, AudioFormat.FLAC, AudioFormat.PCM]
LOSSY = [AudioFormat.MP3, AudioFormat.OPUS]
SOME = settings(max_examples=30, deadline=None)  # a deadline would measure the machine

every_format = pytest.mark.parametrize("audio_format", AudioFormat)
every_rate = pytest.mark.parametrize("rate_hz", RATES_HZ)


@lru_cache
def speech(rate_hz) -> AudioChunk:
    """Real speech, some five seconds of it, with sounds up to half of `rate_hz` or 11 kHz."""
    spoken = join(EspeakProvider().synthesize(utterance()))
    return AudioChunk(soxr.resample(spoken.samples, spoken.sample_rate_hz, rate_hz), rate_hz)


def decode(encoded: Encoded, audio_format: AudioFormat) -> AudioChunk:
    """Decode a file by what stands in it alone; raw samples have nothing but the headers of the answer."""
    if audio_format is AudioFormat.PCM:
        samples = np.frombuffer(encoded.data, "<i2").astype(np.float32) / 32768
        return AudioChunk(samples, encoded.sample_rate_hz)
    samples, rate_hz = soundfile.read(BytesIO(encoded.data), dtype="float32")
    return AudioChunk(samples, rate_hz)


def level_db(samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64))))


def spectrum_db(chunk) -> np.ndarray:
    """Give the level over time (30 ms) and frequency (100 Hz to 7 kHz, thirds of octaves)."""
    size = round(0.03 * chunk.sample_rate_hz)
    frames = chunk.samples[: len(chunk.samples) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames)) ** 2 / size
    edges = 100 * 2 ** (np.arange(19) / 3)
    bands = np.fft.rfftfreq(size, 1 / chunk.sample_rate_hz)
    inside = (bands[:, None] >= edges[:-1]) & (bands[:, None] < edges[1:])
    return 10 * np.log10(power @ inside + 1e-4)


@every_format
@every_rate
def test_what_is_decoded_is_the_speech_that_was_encoded(audio_format, rate_hz):
    spoken = speech(rate_hz)
    encoded = encode(spoken, audio_format)
    decoded = decode(encoded, audio_format)
    assert decoded.sample_rate_hz == encoded.sample_rate_hz
    seconds = len(spoken.samples) / rate_hz
    assert len(decoded.samples) / decoded.sample_rate_hz == pytest.approx(seconds, abs=1 / rate_hz)

    heard = soxr.resample(decoded.samples, decoded.sample_rate_hz, rate_hz)[: len(spoken.samples)]
    meant = spoken.samples[: len(heard)]
    assert level_db(heard) == pytest.approx(level_db(meant), abs=0.1)
    assert np.corrcoef(heard, meant)[0, 1] > 0.98, "nothing is shifted or lost"
    differences = spectrum_db(AudioChunk(heard, rate_hz)) - spectrum_db(spoken)
    assert np.percentile(np.abs(differences), 95) < (6 if audio_format in LOSSY else 0.1)


@every_format
@every_rate
def test_length_and_rate_are_those_of_the_encoded_sound(audio_format, rate_hz):
    encoded = encode(speech(rate_hz), audio_format)
    decoded = decode(encoded, audio_format)
    assert encoded.duration_ms == round(1000 * len(decoded.samples) / decoded.sample_rate_hz)
    if audio_format is AudioFormat.OPUS:
        assert encoded.sample_rate_hz == (24_000 if rate_hz <= 24_000 else 48_000)
    else:
        assert encoded.sample_rate_hz == rate_hz


@pytest.mark.parametrize(("rate_hz", "in_mp3_hz"), [(4_000, 8_000), (22_000, 22_050), (96_000, 48_000)])
def test_a_rate_that_mp3_does_not_take_becomes_the_next_one(rate_hz, in_mp3_hz):
    encoded = encode(AudioChunk(tone().samples, rate_hz), AudioFormat.MP3)
    assert decode(encoded, AudioFormat.MP3).sample_rate_hz == encoded.sample_rate_hz == in_mp3_hz
    assert encoded.duration_ms == pytest.approx(1000 * len(tone().samples) / rate_hz, abs=1)


@pytest.mark.parametrize("audio_format", HEADERS)
@every_rate
def test_the_header_tells_format_channels_and_length(audio_format, rate_hz):
    encoded = encode(speech(rate_hz), audio_format)
    header = soundfile.info(BytesIO(encoded.data))
    assert (header.format, header.subtype) == HEADERS[audio_format]
    assert (header.channels, header.samplerate) == (1, encoded.sample_rate_hz)
    assert header.frames == len(decode(encoded, audio_format).samples)


def test_a_wav_has_true_sizes_in_its_header():
    data = encode(tone(seconds=0.5), AudioFormat.WAV).data
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    size_bytes = int.from_bytes(data[data.index(b"data") + 4 :][:4], "little")
    assert size_bytes == 2 * len(tone(seconds=0.5).samples) == len(data) - data.index(b"data") - 8


def test_pcm_is_the_samples_of_the_wav_without_its_header():
    wav, pcm = (encode(speech(22_050), which).data for which in (AudioFormat.WAV, AudioFormat.PCM))
    assert len(pcm) == 2 * len(speech(22_050).samples)
    assert wav.endswith(pcm)


@SOME
@given(sounds, st.sampled_from(RATES_HZ), st.sampled_from(LOSSLESS))
def test_wav_flac_and_pcm_keep_every_sample(samples, rate_hz, audio_format):
    decoded = decode(encode(AudioChunk(samples, rate_hz), audio_format), audio_format)
    assert decoded.sample_rate_hz == rate_hz
    assert decoded.samples.shape == samples.shape
    assert np.abs(decoded.samples - samples).max() <= 1 / 32768


@every_format
@pytest.mark.parametrize("n_samples", [1, 2, 10, 100, 575, 576, 577, 1152, 5000])
def test_the_shortest_sounds_keep_their_length(audio_format, n_samples):
    chunk = AudioChunk(tone().samples[50 : 50 + n_samples], 24_000)
    encoded = encode(chunk, audio_format)
    assert len(decode(encoded, audio_format).samples) == n_samples
    assert encoded.duration_ms == round(n_samples / 24)


@every_format
def test_ten_minutes_keep_their_length_and_their_end(audio_format):
    spoken = speech(22_050)
    times = round(600 * 22_050 / len(spoken.samples))
    encoded = encode(AudioChunk(np.tile(spoken.samples, times), 22_050), audio_format)
    decoded = decode(encoded, audio_format)
    length_ms = 1000 * times * len(spoken.samples) / 22_050
    assert encoded.duration_ms == pytest.approx(length_ms, abs=1)
    last = soxr.resample(decoded.samples, decoded.sample_rate_hz, 22_050)[-len(spoken.samples) :]
    assert np.corrcoef(last, spoken.samples)[0, 1] > 0.98


@every_format
@every_rate
def test_what_is_too_loud_is_clipped_and_does_not_wrap_around(audio_format, rate_hz):
    loud = AudioChunk(4 * tone().samples, rate_hz)
    decoded = decode(encode(loud, audio_format), audio_format)
    heard = soxr.resample(decoded.samples, decoded.sample_rate_hz, rate_hz)[: len(loud.samples)]
    meant = np.clip(loud.samples, -1, 1)[: len(heard)]
    assert np.corrcoef(heard, meant)[0, 1] > 0.99
    assert level_db(heard) == pytest.approx(level_db(meant), abs=0.3)
    if audio_format in LOSSLESS:
        assert np.abs(decoded.samples).max() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("audio_format", LOSSY)
def test_a_lossy_file_is_a_fraction_of_the_wav(audio_format):
    kilobits_a_second = 8 * len(encode(speech(24_000), audio_format).data) / 1000 / 5
    assert 40 < kilobits_a_second < 100


@every_format
def test_equal_sounds_give_equal_bytes_or_for_opus_equal_sounds(audio_format):
    first, second = (encode(speech(22_050), audio_format) for _ in range(2))
    if audio_format is AudioFormat.OPUS:
        first, second = (decode(encoded, audio_format).samples.tobytes() for encoded in (first, second))
    assert first == second


@every_format
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_a_failure(audio_format, bad):
    samples = tone().samples
    samples[100] = bad
    with pytest.raises(BrokenAudio, match="1 of the"):
        encode(AudioChunk(samples, 22_050), audio_format)


@every_format
@pytest.mark.parametrize(
    "chunk", [silence(0), silence(1), tone(level=0.0009)], ids=["empty", "zeros", "-61 dB"]
)
def test_silence_is_a_failure_and_never_served(audio_format, chunk):
    with pytest.raises(SilentAudio):
        encode(chunk, audio_format)
