"""What the tests hear in a sound: its fundamental, and its length without the silence around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workers.provider import AudioChunk

_VOICES_HZ = (60, 440)
_FRAMES = 250
# From Praat's "To Pitch (ac)": what counts as voiced, and how much a lower octave must be better to win.
_VOICING_THRESHOLD, _OCTAVE_COST = 0.45, 0.05
_AUDIBLE = 0.01


def fundamental_hz(chunk: AudioChunk, *, transposed: float = 1.0) -> float:
    """Give the median fundamental of the voiced frames, by autocorrelation after Boersma (1993).

    It is looked for where human voices lie, times `transposed`.
    """
    low_hz, high_hz = (hz * transposed for hz in _VOICES_HZ)
    rate, size = chunk.sample_rate_hz, round(3 * chunk.sample_rate_hz / low_hz)
    samples = np.pad(chunk.samples.astype(np.float64), size)
    starts = np.linspace(0, len(samples) - size, _FRAMES).astype(int)
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[starts] * window
    level = np.sqrt((frames**2).mean(axis=1))
    frames = frames[level > 0.1 * level.max()]
    likeness = _autocorrelation(frames) / np.maximum(_autocorrelation(window[np.newaxis]), 1e-9)
    lags = np.arange(int(rate / high_hz), int(rate / low_hz))
    likeness = (likeness / likeness[:, :1])[:, lags]
    best = np.argmax(likeness - _OCTAVE_COST * np.log2(lags), axis=1)
    is_voiced = likeness[np.arange(len(best)), best] > _VOICING_THRESHOLD
    return float(rate / np.median(lags[best[is_voiced]]))


def sounding_s(chunk: AudioChunk) -> float:
    """Give the time from the first to the last sample that can be heard."""
    audible = np.flatnonzero(np.abs(chunk.samples) > _AUDIBLE)
    return float(audible[-1] - audible[0]) / chunk.sample_rate_hz


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    size = frames.shape[1]
    spectrum = np.fft.rfft(frames, 2 * size, axis=1)
    return np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :size]
