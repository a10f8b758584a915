"""Sounds to judge, made on the spot: speech in several voices, and all that is not speech.

Each is float64, (n_samples,), at 24 kHz.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
import soundfile
import soxr

from tests.workers.utterances import utterance
from workers.audio import join
from workers.providers.espeak import EspeakProvider

RATE_HZ = 24_000
TEXT = (
    "The quick brown fox jumps over the lazy dog. Please leave your message after the tone, and we will call "
    "you back as soon as we can. Thank you very much for calling us today."
)


@lru_cache
def speech(language="en-US", *, text=TEXT, speed=1.0, pitch=0.0) -> np.ndarray:
    """Nearly ten seconds of it, at speed 1."""
    spoken = join(
        EspeakProvider().synthesize(utterance(text=text, language=language, speed=speed, pitch=pitch))
    )
    return soxr.resample(spoken.samples.astype(np.float64), spoken.sample_rate_hz, RATE_HZ)


def silence(seconds) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ))


def times(seconds=10.0) -> np.ndarray:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def tone(frequency_hz=440.0, seconds=10.0, level=0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency_hz * times(seconds))


def gliding(frequencies_hz, level=0.5) -> np.ndarray:
    """A sine whose frequency changes from sample to sample."""
    return level * np.sin(2 * np.pi * np.cumsum(frequencies_hz) / RATE_HZ)


def hum(frequency_hz=50.0, level=0.3) -> np.ndarray:
    return level * sum(np.sin(2 * np.pi * frequency_hz * n * times() + n) / n for n in range(1, 12))


def noise(colour="white", seconds=10.0, level=0.1, seed=1) -> np.ndarray:
    """Noise whose power falls with the frequency (pink) or its square (brown), or not."""
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[1:] /= np.fft.rfftfreq(n)[1:] ** {"white": 0.0, "pink": 0.5, "brown": 1.0}[colour]
    spectrum[0] = 0
    made = np.fft.irfft(spectrum, n)
    return level * made / made.std()


def beeping(sound, *, times_a_second=3.0, share=0.5) -> np.ndarray:
    """The sound switched on and off."""
    return sound * ((times(len(sound) / RATE_HZ) * times_a_second) % 1 < share)


def with_noise(sound, snr_db, colour="pink") -> np.ndarray:
    """The sound, with noise that lies so far below its loud parts."""
    loud = np.sqrt(np.square(sound[np.abs(sound) > 0.02]).mean())
    return sound + noise(colour, len(sound) / RATE_HZ, loud * 10 ** (-snr_db / 20))


def in_room(sound, reverberation_s) -> np.ndarray:
    """The sound as a microphone hears it across a room whose echo falls by 60 dB in that time."""
    after = times(reverberation_s)
    echo = np.random.default_rng(1).standard_normal(len(after)) * np.exp(-6.9 * after / reverberation_s)
    echo *= 0.05 * np.sqrt(0.5 / reverberation_s)
    echo[0] = 1.0
    n = len(sound) + len(echo)
    heard = np.fft.irfft(np.fft.rfft(sound, n) * np.fft.rfft(echo, n), n)
    return 0.5 * heard / np.abs(heard).max()


def clipped(sound, above_full_scale_db) -> np.ndarray:
    """The sound as a recorder has it whose full scale lies so far below its peak."""
    return np.clip(sound / np.abs(sound).max() * 10 ** (above_full_scale_db / 20), -1, 1)


def encoded(sound, rate_hz=RATE_HZ, container="WAV", subtype="PCM_16", **options) -> bytes:
    """The sound as a file."""
    file = BytesIO()
    soundfile.write(file, sound, rate_hz, format=container, subtype=subtype, **options)
    return file.getvalue()


def resampled(sound, rate_hz) -> np.ndarray:
    return soxr.resample(sound, RATE_HZ, rate_hz)
