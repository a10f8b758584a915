"""Whether a recording is speech, and how good a voice it makes. Runs in the child alone.

Speech changes: its level from syllable to pause, its spectrum from vowel to consonant. What stays level is a
tone, a hum or noise; what rises little above its own pauses is speech in noise or in an echoing room. The
thresholds lie between what was measured of both, on 10 s each:

                                            level       spectral    tonality     SNR
                                            variation   variation
    espeak, 16 languages, pitch -8 to +8    6.1-7.8     11-17       0.3-0.4      26-44 dB
      at speed 1.3 to 2, without pauses     5.3-6.4     13          0.3-0.5      23-28
      in white or pink noise at 20 dB       5.0-5.6     11          0.3          21-23
      in white or pink noise at 10 dB       3.8-3.9     7-8         0.2-0.3      11-14
      in a room that echoes for 0.4 s       4.9         10          0.3          18
      in a room that echoes for 1.5 s       3.5         7           0.3          10
    white, pink and brown noise             0.3-3.3     1.5-1.8     0.0-0.6       1-9
      that swells or comes and goes         1.3-5.1     1.6-1.8     0.0           5-24
    tones, hums and buzzers                 0.0-1.9     0.0-0.4     0.6-1.0       0-5
      beeping                               1.3-2.6     3-9         0.3-1.0       4-27
    whistles and sirens                     0.0-6.9     13-14       1.0           0-27
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import BadSample
from shared.samples.records import MIN_DURATION_S, SAMPLE_RATE_HZ, Measures, Rating

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from shared.samples.decoding import Recording

# Frames of 20 ms for levels; of twice that for spectra, which then tell 50 Hz apart.
_FRAME_S = 0.02
_FRAME = round(_FRAME_S * SAMPLE_RATE_HZ)
# Below this is nothing: what gates and editors leave between words, of which the noise cannot be heard.
_NOTHING_DBFS = -90.0
# A frame is active that lies within 30 dB of the loudest, and 6 dB above the noise where that is less.
_ACTIVE_RANGE_DB, _ABOVE_NOISE_DB, _LEAST_RANGE_DB, _QUIETEST_ACTIVE_DBFS = 30.0, 6.0, 12.0, -60.0
# What cutting leaves at both ends.
_MARGIN_S = 0.25
_FREQUENCIES_HZ = np.fft.rfftfreq(2 * _FRAME, 1 / SAMPLE_RATE_HZ)
_BAND_EDGES_HZ = (100, 400, 800, 1600, 3200, 6400, 12_000)
_BAND_FLOOR = 1e-4
_LOWEST_TONE_HZ = 75
# Flat tops: three samples and more in a row at full scale, or at the peak of what was made quieter later.
# A channel without a voice in it is flat, too, but far below.
_CLIPPED_FULL_SCALE, _CLIPPED_PEAK, _CLIPPED_LEAST, _CLIPPED_RUN = 0.99, 0.999, 0.05, 3

# Speech lies between -20 and -12 dBFS here; a quiet room's own noise below -60.
_SILENT_DBFS, _QUIET_DBFS = -50.0, -35.0
_LEAST_ACTIVE_S = 2.5
_MUCH_SILENCE = 0.5
_STEADY_LEVEL_DB, _STEADY_SPECTRUM_DB, _TONAL = 2.7, 4.0, 0.85
# 6 dB above full scale clip 0.8 % of espeak's samples and 0.9 ms at a time, 10 dB 2.8 % and 1.0 ms, 20 dB
# 15 % and 1.8 ms; what stays below full scale has none.
_CLIPPED, _SLIGHTLY_CLIPPED, _CLIPPED_AT_ONCE_MS = 0.01, 0.0005, 1.0
# The mean, of full scale: sound cards leave some thousandths.
_OFFSET = 0.05
_UNUSABLE_SNR_DB, _LOW_SNR_DB, _MODERATE_SNR_DB = 12.0, 15.0, 20.0

_SHORT_S, _LONG_S, _LOW_RATE_HZ = 8.0, 25.0, 22_050


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a voice can be expected, and what would make it better."""

    score: int
    rating: Rating
    warnings: tuple[str, ...]


def measure(recording: Recording, sound: NDArray[np.float32]) -> Measures:
    """Measure a recording; `sound` is the same as mono at `SAMPLE_RATE_HZ`.

    Raises:
        BadSample: there is too little in it that can be heard to measure anything.
    """
    levels = _levels_dbfs(_frames(sound, _FRAME))
    loudest = float(np.percentile(levels, 95))
    if loudest < _SILENT_DBFS:
        raise BadSample(
            "It is silent or far too quiet; check that the right microphone is chosen and come closer to it."
        )
    is_active = levels > _active_above_dbfs(levels, loudest)
    if is_active.sum() * _FRAME_S < _LEAST_ACTIVE_S:
        raise BadSample(
            f"Only {is_active.sum() * _FRAME_S:.1f} s of it can be heard, the rest is silence; "
            "speak without long pauses."
        )
    first, last = np.flatnonzero(is_active)[[0, -1]]
    inside = slice(first, last + 1)
    spectra = _spectra(sound, is_active)
    clipped_fraction, longest_clipped = _clipping(recording.samples)
    return Measures(
        level_dbfs=round(loudest, 1),
        snr_db=round(_snr_db(levels[inside]), 1),
        clipped_fraction=round(clipped_fraction, 5),
        longest_clipped_ms=round(1000 * longest_clipped / recording.sample_rate_hz, 2),
        active_fraction=round(float(is_active[inside].mean()), 2),
        trimmed_s=round(_trimmed_s(first, last, len(levels)), 2),
        level_variation_db=round(float(levels[is_active].std()), 1),
        spectral_variation_db=round(_spectral_variation_db(spectra), 1),
        tonality=round(_tonality(spectra), 2),
        offset=round(abs(float(sound.mean())), 3),
    )


def judge(recording: Recording, measures: Measures) -> Verdict:
    """Say how good the voice will be.

    Raises:
        BadSample: it is no speech, or speech that cannot be used.
    """
    _refuse_what_is_no_speech(measures)
    _refuse_what_cannot_be_used(measures)
    deductions = list(_deductions(recording, measures))
    score = max(0, 100 - sum(points for points, _ in deductions))
    return Verdict(score, Rating.of(score), tuple(warning for _, warning in deductions))


def _refuse_what_is_no_speech(measures: Measures) -> None:
    if measures.tonality > _TONAL:
        raise BadSample("It is a tone, not speech; check what is being recorded, and speak.")
    if measures.spectral_variation_db < _STEADY_SPECTRUM_DB or measures.level_variation_db < _STEADY_LEVEL_DB:
        raise BadSample(
            "It is a steady sound such as noise, a hum or a tone, without speech that stands out; record "
            "in a quiet room, close to the microphone."
        )


def _refuse_what_cannot_be_used(measures: Measures) -> None:
    if measures.clipped_fraction > _CLIPPED:
        raise BadSample(
            f"It is clipped ({100 * measures.clipped_fraction:.1f} % of it): too loud for the recorder; turn "
            "the microphone down or move away from it, and record again."
        )
    if measures.snr_db < _UNUSABLE_SNR_DB:
        raise BadSample(
            f"Noise or echo drowns the voice, which is only {measures.snr_db:.0f} dB louder; record in "
            "a quiet room with soft furnishings, close to the microphone."
        )
    if measures.trimmed_s < MIN_DURATION_S:
        raise BadSample(
            f"Without the silence around it, it is {measures.trimmed_s:.2f} s long; record at least "
            f"{MIN_DURATION_S:.0f} s of speech."
        )


def _deductions(recording: Recording, measures: Measures) -> Iterator[tuple[int, str]]:
    """Give what costs points, each with a sentence that says how to do better."""
    if measures.trimmed_s < _SHORT_S:
        yield 10, f"It has {measures.trimmed_s:.1f} s of speech; 8 to 25 s make a more faithful voice."
    if recording.duration_s > _LONG_S:
        yield 5, f"It is {recording.duration_s:.1f} s long; more than 25 s make the voice no better."
    if recording.sample_rate_hz < _LOW_RATE_HZ:
        yield 15, f"It was recorded at {recording.sample_rate_hz} Hz; 24000 Hz or more make a clearer voice."
    if measures.snr_db < _MODERATE_SNR_DB:
        points = 35 if measures.snr_db < _LOW_SNR_DB else 15
        warning = f"Noise or echo can be heard (the voice is only {measures.snr_db:.0f} dB louder); "
        yield points, warning + "record in a quieter room, closer to the microphone."
    if measures.clipped_fraction > _SLIGHTLY_CLIPPED or measures.longest_clipped_ms > _CLIPPED_AT_ONCE_MS:
        yield 20, "The loudest parts are clipped; turn the microphone down a little."
    if measures.active_fraction < _MUCH_SILENCE:
        yield 10, "More than half of it is silence; leave shorter pauses."
    if measures.level_dbfs < _QUIET_DBFS:
        yield 10, "It is very quiet; come closer to the microphone or turn it up."
    if measures.offset > _OFFSET:
        share = f"{100 * measures.offset:.0f} % of full scale"
        yield 10, f"It has a constant offset of {share}; check the recorder and its cable, or filter it out."


def _frames(sound: NDArray[np.float32], size: int) -> NDArray[np.float64]:
    return sound[: len(sound) // size * size].reshape(-1, size).astype(np.float64)


def _levels_dbfs(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    # The variance, which leaves out a constant offset.
    levels: NDArray[np.float64] = 10 * np.log10(frames.var(axis=1) + 1e-10)
    return levels


def _active_above_dbfs(levels: NDArray[np.float64], loudest: float) -> float:
    above_noise = min(_quiet_dbfs(levels) + _ABOVE_NOISE_DB, loudest - _LEAST_RANGE_DB)
    return max(loudest - _ACTIVE_RANGE_DB, above_noise, _QUIETEST_ACTIVE_DBFS)


def _trimmed_s(first: int, last: int, n_frames: int) -> float:
    margin = round(_MARGIN_S / _FRAME_S)
    return _FRAME_S * (min(last + 1 + margin, n_frames) - max(first - margin, 0))


def _snr_db(levels: NDArray[np.float64]) -> float:
    """Give how far the loud frames (P90) are above the quiet ones."""
    return float(np.percentile(levels, 90)) - _quiet_dbfs(levels)


def _quiet_dbfs(levels: NDArray[np.float64]) -> float:
    """Give the level of the quiet frames: P10, or where those hold nothing at all, P2 of the others.

    Without speech, they are the noise; a few of them betray it where the rest has been cut out.
    """
    quiet = float(np.percentile(levels, 10))
    return quiet if quiet > _NOTHING_DBFS else float(np.percentile(levels[levels > _NOTHING_DBFS], 2))


def _clipping(samples: NDArray[np.float32]) -> tuple[float, int]:
    """Give the share of samples in flat tops and the length of the longest, of the worst channel."""
    found = []
    for channel in samples.T:
        heights = np.abs(channel)
        top = max(_CLIPPED_LEAST, min(_CLIPPED_FULL_SCALE, _CLIPPED_PEAK * heights.max()))
        is_high = heights >= top
        edges = np.flatnonzero(np.diff(is_high, prepend=False, append=False))
        runs = edges[1::2] - edges[::2]
        runs = runs[runs >= _CLIPPED_RUN]
        found.append((float(runs.sum() / len(channel)), int(runs.max(initial=0))))
    return max(found)


def _spectra(sound: NDArray[np.float32], is_active: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give the power spectrum of each pair of frames of which one is active: (n_pairs, n_frequencies)."""
    pairs = _frames(sound, 2 * _FRAME)
    active_pairs = is_active[: 2 * len(pairs)].reshape(-1, 2).any(axis=1)
    windowed = pairs[active_pairs] * np.hanning(2 * _FRAME)
    spectra: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(windowed)))
    spectra[:, _FREQUENCIES_HZ < _LOWEST_TONE_HZ] = 0.0
    spectra += 1e-20
    return spectra


def _spectral_variation_db(spectra: NDArray[np.float64]) -> float:
    """Give how far the shape of the spectrum varies: of each band's level within its frame, P80 - P20.

    Percentiles, so that the edges of a beep, whose spectrum is wide, do not count.
    """
    starts = np.searchsorted(_FREQUENCIES_HZ, _BAND_EDGES_HZ)
    bands = np.add.reduceat(spectra, starts[:-1], axis=1)
    shapes = 10 * np.log10(bands / bands.max(axis=1, keepdims=True) + _BAND_FLOOR)
    shapes -= shapes.mean(axis=1, keepdims=True)
    low, high = np.percentile(shapes, [20, 80], axis=0)
    return float((high - low).mean())


def _tonality(spectra: NDArray[np.float64]) -> float:
    """Give the share of the power that lies in the strongest partial, of the median frame."""
    padded = np.pad(spectra, ((0, 0), (2, 2)))
    strongest = spectra.argmax(axis=1)
    partials = np.take_along_axis(padded, strongest[:, None] + np.arange(5), axis=1).sum(axis=1)
    return float(np.median(partials / spectra.sum(axis=1)))
