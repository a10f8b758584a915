"""Whether a sound can be the speech that was asked for, judged before it is encoded, cached or sent.

Each limit lies beyond all that was measured of espeak-ng in its 130 languages, of a real voice of Piper's
(en_US-joe-medium) and of the tests' voices, on texts of 1 to 3,000 characters at speeds from 0.25 to 4 and
pitches from -20 to 20, so that what is refused is surely no speech. `python -m tests.workers.measures`
measures anew.

                                           measured         limit    what is refused
    share of samples at the peak           up to 0.004      0.1      34 dB too loud: 0.8
    longest flat stretch at the peak       up to 0.23 ms    5 ms     a stuck output
    longest silence, at speed 1            up to 1.0 s      3 s      a gap in the middle or at an end
    level of the last 5 ms, relative       up to -6.5 dB    -3 dB    cut in a loud vowel: four of ten
      to the loud frames                   (joe: -46 dB)
    where the level is the same for 2 s    nowhere in
    (within 0.75 dB):                      real voices
      change of the spectrum               from 0.09        0.05     tones and hums: 0 to 0.04
      flatness of the spectrum             up to 0.50       0.53     white noise: 0.56

The figures of the last two are of voices with made-up weights, which hum or hiss.
How long a text may take is told in `workers.durations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import ClippedAudio, CutOffAudio, ImplausibleLength, RunawayAudio, SilentAudio
from workers.audio import SILENCE_DBFS, is_audible, numeric
from workers.durations import has_drawn_out_sound, plausible_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from shared.models import Utterance
    from workers.provider import AudioChunk

_FRAME_S = 0.02
# A frame is silent that lies as far below the loud ones (P95), or below what can be heard at all.
_SILENT_BELOW_LOUD_DB = 45.0
_AT_PEAK = 0.999
_MAX_SHARE_AT_PEAK, _MAX_FLAT_MS = 0.1, 5.0
_MAX_SILENCE_S = 3.0
_MAX_END_DB, _END_S = -3.0, 0.005
# A shorter sound has no loud frames to compare its end with, and a faster one no room for a decay: stretching
# takes it away.
_LEAST_WITH_AN_END_S, _FASTEST_WITH_AN_END = 0.3, 1.1
_STEADY_S, _STEADY_LEVEL_DB = 2.0, 0.75
_LEAST_SPECTRAL_CHANGE, _MOST_FLATNESS = 0.05, 0.53
_FRAMES_AT_A_TIME, _STRONG_PARTIAL, _LOWEST_BIN = 5, 0.01, 3


def judge(chunk: AudioChunk, utterance: Utterance) -> None:
    """Return if the sound can be that utterance.

    Raises:
        BrokenAudio: a sample is no number.
        SilentAudio: nothing can be heard.
        ClippedAudio: much of it is at full scale, or it is stuck there.
        RunawayAudio: it is too long for the text, holds a long silence, or a tone, hum or white noise.
        ImplausibleLength: it is too short for the text.
        CutOffAudio: it ends in the middle of a sound.
    """
    measures = measure(numeric(chunk))
    if not is_audible(chunk) or measures.sounding_s == 0:
        raise SilentAudio(f"nothing can be heard in {measures.duration_s:.2f} s of sound")
    _refuse_clipping(measures)
    _refuse_length(measures, utterance)
    _refuse_silence(measures, utterance)
    _refuse_steady_sound(measures, utterance)
    _refuse_cut_end(measures, utterance)


@dataclass(frozen=True, slots=True)
class Measures:
    """What is to be known of a sound."""

    duration_s: float
    sounding_s: float
    """From the first frame that can be heard to the last."""
    longest_silence_s: float
    share_at_peak: float
    longest_flat_ms: float
    """The longest stretch at its peak."""
    end_db: float
    """The level of its last 5 ms, relative to the loud frames."""
    frames: NDArray[np.float32]
    """20 ms each: (n_frames, n_samples)."""
    levels_dbfs: NDArray[np.float64]
    """Of each frame."""
    is_silent: NDArray[np.bool_]
    """Each frame."""


def measure(chunk: AudioChunk) -> Measures:
    """Measure a sound of numbers."""
    samples, rate_hz = chunk.samples, chunk.sample_rate_hz
    size = round(_FRAME_S * rate_hz)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    levels = _levels_dbfs(frames)
    loud_dbfs = float(np.percentile(levels, 95)) if len(levels) else SILENCE_DBFS
    is_silent = levels <= max(SILENCE_DBFS, loud_dbfs - _SILENT_BELOW_LOUD_DB)
    sounding = np.flatnonzero(~is_silent)
    share, flat = _at_peak(samples)
    end = samples[-max(1, round(_END_S * rate_hz)) :][np.newaxis]
    return Measures(
        duration_s=len(samples) / rate_hz,
        sounding_s=_FRAME_S * float(sounding[-1] - sounding[0] + 1) if len(sounding) else 0.0,
        longest_silence_s=_FRAME_S * _longest(is_silent),
        share_at_peak=share,
        longest_flat_ms=1000 * flat / rate_hz,
        end_db=float(_levels_dbfs(end)[0]) - loud_dbfs if len(samples) else 0.0,
        frames=frames,
        levels_dbfs=levels,
        is_silent=is_silent,
    )


def _refuse_clipping(measures: Measures) -> None:
    if measures.share_at_peak > _MAX_SHARE_AT_PEAK:
        raise ClippedAudio(f"{measures.share_at_peak:.0%} of the sound is clipped")
    if measures.longest_flat_ms > _MAX_FLAT_MS:
        raise ClippedAudio(f"the sound stays at its peak for {measures.longest_flat_ms:.0f} ms")


def _refuse_length(measures: Measures, utterance: Utterance) -> None:
    plausible = plausible_duration(utterance)
    about = f"a text of {len(utterance.text)} characters at speed {utterance.speed:g}"
    if measures.sounding_s < plausible.least_s:
        raise ImplausibleLength(
            f"{measures.sounding_s:.2f} s of sound are too short for {about}, "
            f"which takes {plausible.least_s:.2f} s at least"
        )
    if measures.duration_s > plausible.most_s:
        raise RunawayAudio(
            f"{measures.duration_s:.1f} s of sound are too long for {about}, "
            f"which takes {plausible.most_s:.1f} s at most"
        )


def _refuse_silence(measures: Measures, utterance: Utterance) -> None:
    limit_s = _MAX_SILENCE_S / min(utterance.speed, 1.0)
    if measures.longest_silence_s > limit_s:
        raise RunawayAudio(
            f"the sound is silent for {measures.longest_silence_s:.1f} s on end, "
            f"of which {limit_s:.1f} s at most can be a pause"
        )


def _refuse_steady_sound(measures: Measures, utterance: Utterance) -> None:
    limit_s = _STEADY_S / min(utterance.speed, 1.0)
    if has_drawn_out_sound(utterance.text):
        return
    change, flatness = steadiness(measures, limit_s)
    if change < _LEAST_SPECTRAL_CHANGE or flatness > _MOST_FLATNESS:
        raise RunawayAudio(f"the sound is a steady tone, hum or white noise for {limit_s:.1f} s or longer")


def _refuse_cut_end(measures: Measures, utterance: Utterance) -> None:
    if measures.duration_s < _LEAST_WITH_AN_END_S or utterance.speed > _FASTEST_WITH_AN_END:
        return
    if measures.end_db > _MAX_END_DB:
        raise CutOffAudio(f"the sound breaks off at its full level ({measures.end_db:+.0f} dB at its end)")


def steadiness(measures: Measures, seconds: float) -> tuple[float, float]:
    """Give how little the spectrum changes, and how flat it is, where the level is the same for so long.

    The least change (0 to 1; infinity: the level never is) and the greatest flatness (0 to 1).
    """
    count = round(seconds / _FRAME_S)
    starts = _steady_starts(measures, count)[:: max(1, count // 4)]
    pieces = [measures.frames[start : start + count] for start in starts]
    return min(map(_spectral_change, pieces), default=inf), max(map(_spectral_flatness, pieces), default=0.0)


def _steady_starts(measures: Measures, count: int) -> NDArray[np.intp]:
    """Give where so many frames that sound and have the same level begin."""
    if len(measures.levels_dbfs) < count:
        return np.empty(0, np.intp)
    centred = measures.levels_dbfs - measures.levels_dbfs.mean()
    mean, power, silent = (_moving_mean(of, count) for of in (centred, centred**2, measures.is_silent))
    return np.flatnonzero((power - mean**2 < _STEADY_LEVEL_DB**2) & (silent < 0.5 / count))


def _moving_mean(values: NDArray[np.generic], count: int) -> NDArray[np.float64]:
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    means: NDArray[np.float64] = (sums[count:] - sums[:-count]) / count
    return means


def _spectral_change(frames: NDArray[np.float32]) -> float:
    """Give how far the strong partials depart from their mean, relative to it.

    Over five frames at a time, which tell 20 Hz apart.
    """
    whole = frames[: len(frames) // _FRAMES_AT_A_TIME * _FRAMES_AT_A_TIME]
    partials = _spectra(whole.reshape(len(whole) // _FRAMES_AT_A_TIME, -1))
    mean = partials.mean(axis=0)
    is_strong = mean > _STRONG_PARTIAL * mean.max()
    return float(np.abs(partials - mean)[:, is_strong].sum() / (len(partials) * mean[is_strong].sum()))


def _spectral_flatness(frames: NDArray[np.float32]) -> float:
    """Give the median of the power's geometric by arithmetic mean: 0.56 of white noise, 0 of tones."""
    power = np.square(_spectra(frames)[:, _LOWEST_BIN:]) + 1e-12
    return float(np.median(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)))


def _spectra(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    amplitudes: NDArray[np.float64] = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1])))
    return amplitudes


def _levels_dbfs(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give the level of each row, without a constant offset."""
    power = np.einsum("ij,ij->i", frames, frames) / np.float32(frames.shape[1])
    offset = frames.mean(axis=1)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(power - offset**2, 0).astype(np.float64) + 1e-12)
    return levels


def _at_peak(samples: NDArray[np.float32]) -> tuple[float, int]:
    """Give the share of samples at the sound's own peak, and how many of them there are on end."""
    heights = np.abs(samples)
    is_high = heights >= _AT_PEAK * heights.max(initial=0.0)
    return np.count_nonzero(is_high) / max(1, len(samples)), _longest(is_high)


def _longest(is_so: NDArray[np.bool_]) -> int:
    """Give the length of the longest run of true values."""
    where = np.flatnonzero(is_so)
    ends = [0, *(np.flatnonzero(where[1:] > where[:-1] + 1) + 1).tolist(), len(where)]
    return max(end - start for start, end in pairwise(ends))
